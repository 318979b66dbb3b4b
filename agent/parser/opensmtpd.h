// OpenSMTPD's dialect, releases 5.4 to 7.8.  One process serves all sessions; a session
// id of 16 hexadecimal digits names the connection in each line, Event::connection.
//
// Follows the format strings of usr.sbin/smtpd (smtp_session.c, mta_session.c, log.c):
//
//   ID smtp VERB NAME=VALUE...    what comes in
//   ID mta VERB NAME=VALUE...     what goes out
//
// 5.9 and 6.0 write "event=" in front of the verb, up to 6.4 address and host stand in
// each line, and up to 5.7 lines are sentences behind "smtp-in: " and "smtp-out: ".
//
// Reverse names are not verified: anybody can have any, so that they are not taken.
//
// Pure functions; the views in results point into the line.

#ifndef MXTALLY_AGENT_PARSER_OPENSMTPD_H_
#define MXTALLY_AGENT_PARSER_OPENSMTPD_H_

#include <string_view>

#include "agent/parser/event.h"
#include "agent/parser/framer.h"

namespace mxtally {

// By FramedLine::program.
bool IsOpensmtpd(std::string_view program);

// Reads one framed line of such a program.  `event` is filled for kEvent and means
// nothing for the other classes.
LineClass ParseOpensmtpd(const FramedLine& line, Event& event);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_OPENSMTPD_H_

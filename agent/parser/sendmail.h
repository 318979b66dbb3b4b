// Sendmail's dialect, releases 8.9 to 8.18: daemons, queue runners and the mail
// submission program, under the tags that Debian and others give them.
//
// A process of its own serves each connection that comes in, Event::one_connection.  No
// line tells where it begins, and only those without mail have one that tells their end;
// the queue id, which holds the time at which it was given, says how old they can be.
// Connections that go out have a line when TLS began or failed and one for each delivery.
//
// Follows the format strings of sendmail/ (srvrsmtp.c, envelope.c, deliver.c, tls.c).  In
// "from=" lines what peers say stands in front of what they do not, so that relay, daemon
// and protocol are read from the right.
//
// Pure functions; the views in results point into the line.

#ifndef MXTALLY_AGENT_PARSER_SENDMAIL_H_
#define MXTALLY_AGENT_PARSER_SENDMAIL_H_

#include <string_view>

#include "agent/parser/event.h"
#include "agent/parser/framer.h"

namespace mxtally {

// By FramedLine::program: "sendmail", "sendmail-in", and what the start scripts of Debian and
// FreeBSD call it by its part in the work: "sm-mta", "sm-msp-queue", "sm-que-runq", ...
bool IsSendmail(std::string_view program);

// Reads one framed line of such a program.  `event` is filled for kEvent and means
// nothing for the other classes.
LineClass ParseSendmail(const FramedLine& line, Event& event);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_SENDMAIL_H_

#include "agent/parser/dialect.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "agent/parser/framer.h"

namespace mxtally {
namespace {

// A log that goes through another one, as Docker's syslog driver and rsyslog's imfile send it:
// what another program says is not believed, but told.
TEST(DialectTest, LinesOfAnMtaThatAnotherProgramLoggedAreUnrecognized) {
  const std::pair<const char*, LineClass> kTable[] = {
      {"mail/0a1b2c[904]: Nov  2 04:02:01 mx1 postfix/smtpd[1]: connect from x[192.0.2.1]",
       LineClass::kUnrecognized},
      {"maillog: 2026-11-02T04:02:01.5+01:00 mx1 postfix/smtp[1]: warning: x",
       LineClass::kUnrecognized},
      {"mail[904]: 2026-11-02T04:02:01.5+01:00 INFO    postfix/smtp[1]: warning: x",
       LineClass::kUnrecognized},
      {"maillog: Nov  2 04:02:01 mx1 sm-mta[1]: STARTTLS=server", LineClass::kUnrecognized},
      // Other programs of that log, and what only mentions one.
      {"maillog: Nov  2 04:02:01 mx1 dovecot: imap-login: Login", LineClass::kNotMine},
      {"fail2ban[1]: Found 192.0.2.1 in Nov  2 04:02:01 mx1 postfix/smtpd[1]: x",
       LineClass::kNotMine},
      {"app[1]: Nov  2 04:02 mx1 postfix/smtpd[1]: x", LineClass::kNotMine},
      {"app[1]: Nov  2 04:0", LineClass::kNotMine},
      {"app[1]: ", LineClass::kNotMine},
  };
  for (const auto& [rest, line_class] : kTable) {
    Framer framer({});
    FramedLine line;
    Event event;
    const std::string logged = std::string("2026-11-02T04:02:02Z docker1 ") + rest;
    ASSERT_TRUE(framer.Split(logged, line)) << rest;
    EXPECT_EQ(ParseDialect(line, event), line_class) << rest;
  }
}

}  // namespace
}  // namespace mxtally

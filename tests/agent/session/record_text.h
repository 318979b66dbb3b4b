// One line of text for what the assembler makes of a session.

#ifndef MXTALLY_TESTS_AGENT_SESSION_RECORD_TEXT_H_
#define MXTALLY_TESTS_AGENT_SESSION_RECORD_TEXT_H_

#include <string>

#include "mxtally/v1/session.pb.h"

namespace mxtally {

// "mx1 12:00:05 postfix/smtpd[1]#0" and, for fractions, "12:00:05.25".
std::string KeyText(const v1::SessionKey& key);

// "PLAINTEXT/STARTTLS_COUNTER": state and evidence.
std::string TlsStateText(const v1::TlsFacts& tls);

// The key, then what is set, in the order of the proto:
// "mx1 12:00:05 postfix/smtpd[1]#0 lines=2 smtpd PLAINTEXT/STARTTLS_COUNTER
// client.example[192.0.2.7] end=12:00:06 DISCONNECT".
// The peer class only when it is not EXTERNAL.
std::string RecordText(const v1::SessionRecord& record);

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_SESSION_RECORD_TEXT_H_

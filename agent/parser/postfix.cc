#include "agent/parser/postfix.h"

#include <array>
#include <cstddef>

#include "agent/parser/fields.h"
#include "agent/parser/postfix_postscreen.h"
#include "agent/parser/postfix_smtp.h"
#include "agent/parser/postfix_smtpd.h"

namespace mxtally {
namespace {

// "QID: from=<...>, size=302, nrcpt=2 (queue active)".  The sender address is
// the peer's words; what stands after it is not.
LineClass ParseQmgr(std::string_view text, Event& event) {
  if (!EndsWith(text, " (queue active)")) return LineClass::kIgnored;
  event.Reset();
  event.type = EventType::kQueueIdActive;
  return TakeQueueId(text, event.queue_id) && StartsWith(text, "from=<") ? LineClass::kEvent
                                                                         : LineClass::kIgnored;
}

// "QID: removed (canceled)", since Postfix 3.10.  "QID: removed" is qmgr's.
LineClass ParseCleanup(std::string_view text, Event& event) {
  if (!EndsWith(text, "ed)")) return LineClass::kIgnored;
  event.Reset();
  event.type = EventType::kQueueIdCanceled;
  return TakeQueueId(text, event.queue_id) &&
                 (Is(text, "removed (canceled)") || Is(text, "removed (discarded)"))
             ? LineClass::kEvent
             : LineClass::kIgnored;
}

// "process /usr/lib/postfix/sbin/smtpd pid 123 killed by signal 9".
LineClass ParseProcessDied(std::string_view text, Event& event) {
  event.type = EventType::kProcessDied;
  const std::string_view path = TakeUntil(text, ' ');
  event.program_name = path.substr(path.rfind('/') + 1);
  int pid = 0;
  if (!Consume(text, " pid ") || !TakeNumber(text, pid) ||
      !(Consume(text, " exit status ") || Consume(text, " killed by signal "))) {
    return LineClass::kIgnored;
  }
  event.pid = pid;
  return LineClass::kEvent;
}

// The master's lines that decide about its children's sessions.  A reload lets
// them finish and is none of these.
LineClass ParseMaster(std::string_view text, Event& event) {
  event.Reset();
  if (Consume(text, "warning: process ")) return ParseProcessDied(text, event);
  event.type = EventType::kInstanceBoundary;
  if (Consume(text, "daemon started -- version ")) {
    event.version = TakeUntil(text, ',', ' ');
    return LineClass::kEvent;
  }
  return text.starts_with("terminating on signal ") ? LineClass::kEvent : LineClass::kIgnored;
}

// Programs of Postfix whose lines say nothing about a session of smtpd.
bool IsOtherProgram(std::string_view name) {
  static constexpr std::array<std::string_view, 36> kPrograms = {
      "anvil",    "bounce",    "defer",     "discard",         "dnsblog",  "error",
      "flush",    "local",     "oqmgr",     "pickup",          "pipe",     "postalias",
      "postconf", "postdrop",  "postkick",  "postfix-script",  "postlog",  "postlogd",
      "postmap",  "postmulti", "postqueue", "postsuper",       "proxymap", "proxywrite",
      "qmqpd",    "relay",     "retry",     "scache",          "sendmail", "showq",
      "spawn",    "tlsmgr",    "trace",     "trivial-rewrite", "verify",   "virtual"};
  // The first letter tells most of them apart.
  for (const std::string_view program : kPrograms) {
    if (program.front() == name.front() && program == name) return true;
  }
  return false;
}

// A relay may have cut the tag short, so that program and pid are not known.
bool IsCutTag(std::string_view text) {
  const std::string_view word = TakeUntil(text, ' ');
  return word.find("/smtpd[") != std::string_view::npos ||
         word.find("/submission") != std::string_view::npos;
}

}  // namespace

LineClass ParsePostfix(const FramedLine& line, Event& event) {
  const std::string_view program = line.program;
  const size_t slash = program.rfind('/');
  if (slash == std::string_view::npos) {
    if (program.empty() && IsCutTag(line.text)) return LineClass::kUnrecognized;
    // A relay that writes RFC 5424 may have cut the program off: nobody can tell which it was.
    if (Is(program, "postfix")) return LineClass::kUnrecognized;
    return Is(program, "postfix-script") ? LineClass::kIgnored : LineClass::kNotMine;
  }
  const std::string_view name = program.substr(slash + 1);
  if (name.empty()) return LineClass::kNotMine;
  if (Is(name, "smtpd")) {
    event.Reset();
    return ParseSmtpd(line.text, event);
  }
  if (Is(name, "smtp") || Is(name, "lmtp")) {
    event.Reset();
    return ParseSmtpClient(line.text, event);
  }
  if (Is(name, "qmgr") || Is(name, "nqmgr")) return ParseQmgr(line.text, event);
  if (Is(name, "cleanup")) return ParseCleanup(line.text, event);
  if (Is(name, "master")) return ParseMaster(line.text, event);
  if (Is(name, "postscreen")) {
    event.Reset();
    return ParsePostscreen(line.text, event);
  }
  if (Is(name, "tlsproxy")) {
    event.Reset();
    return ParseTlsProxy(line.text, event);
  }
  return IsOtherProgram(name) ? LineClass::kIgnored : LineClass::kNotMine;
}

bool MentionsPostfix(std::string_view line) {
  return line.find(" postfix/") != std::string_view::npos ||
         line.find(" postfix ") != std::string_view::npos;
}

SessionTag ParsePostfixTag(std::string_view program) {
  SessionTag tag;
  const size_t slash = program.rfind('/');
  if (slash == std::string_view::npos) {
    tag.service = program;
    return tag;
  }
  const std::string_view path = program.substr(0, slash);
  const size_t parent = path.rfind('/');
  if (parent != std::string_view::npos) {
    tag.instance = path.substr(0, parent);
    tag.service = path.substr(parent + 1);
  } else if (path == "submission" || path == "submissions" || path == "smtps") {
    // A syslog_name that names the service alone.
    tag.service = path;
  } else {
    tag.instance = path;
    tag.service = program.substr(slash + 1);
  }
  // By convention: "submissions", "mx-smtps", "smtps-haproxy".
  tag.wrapper_mode = tag.service.ends_with("smtps") || tag.service.ends_with("submissions") ||
                     tag.service.starts_with("smtps-") || tag.service.starts_with("submissions-") ||
                     tag.service == "465";
  return tag;
}

}  // namespace mxtally

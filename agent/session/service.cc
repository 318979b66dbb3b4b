#include "agent/session/service.h"

#include "absl/strings/ascii.h"
#include "agent/parser/event.h"
#include "agent/parser/postfix.h"
#include "agent/parser/sendmail.h"
#include "agent/session/bounds.h"
#include "agent/session/text.h"

namespace mxtally {

Service ServiceOf(std::string_view tag) {
  const std::string_view program = tag.substr(0, tag.rfind('['));
  if (IsSendmail(program)) return {.name = "smtpd", .wrapper_mode = false};
  const SessionTag parsed = ParsePostfixTag(program);
  Service service = {.name = {}, .wrapper_mode = parsed.wrapper_mode};
  SetServiceName(parsed.service, service.name);
  if (service.name.empty()) service.name = "smtpd";
  return service;
}

void SetServiceName(std::string_view text, std::string& name) {
  SetText(text, kServiceMax, name);
  for (char& c : name) {
    if (!absl::ascii_isalnum(c) && c != '.' && c != '_' && c != ':' && c != '-') c = '_';
  }
}

}  // namespace mxtally

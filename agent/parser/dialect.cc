#include "agent/parser/dialect.h"

#include "agent/parser/exim.h"
#include "agent/parser/opensmtpd.h"
#include "agent/parser/postfix.h"
#include "agent/parser/sendmail.h"

namespace mxtally {

LineClass ParseDialect(const FramedLine& line, Event& event) {
  const LineClass line_class = ParsePostfix(line, event);
  if (line_class != LineClass::kNotMine) return line_class;
  if (IsOpensmtpd(line.program)) return ParseOpensmtpd(line, event);
  if (IsSendmail(line.program)) return ParseSendmail(line, event);
  return IsExim(line.program) ? ParseExim(line, event) : LineClass::kNotMine;
}

bool MentionsMta(std::string_view line) {
  return MentionsPostfix(line) || line.find(" sm-mta[") != std::string_view::npos ||
         line.find(" sendmail[") != std::string_view::npos ||
         line.find(" smtpd[") != std::string_view::npos ||
         line.find(" exim[") != std::string_view::npos;
}

}  // namespace mxtally

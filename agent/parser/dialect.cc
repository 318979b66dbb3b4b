#include "agent/parser/dialect.h"

#include "agent/parser/exim.h"
#include "agent/parser/opensmtpd.h"
#include "agent/parser/postfix.h"
#include "agent/parser/sendmail.h"

namespace mxtally {
namespace {

// Whether a header follows, "Nov  2 04:02:01 " or "2026-11-02T04:02:01".
bool BeginsWithStamp(std::string_view text) {
  constexpr size_t kStamp = 19;
  if (text.size() <= kStamp) return false;
  return (text[3] == ' ' && text[6] == ' ' && text[9] == ':' && text[12] == ':') ||
         (text[4] == '-' && text[7] == '-' && text[10] == 'T' && text[13] == ':');
}

}  // namespace

LineClass ParseDialect(const FramedLine& line, Event& event) {
  const LineClass line_class = ParsePostfix(line, event);
  if (line_class != LineClass::kNotMine) return line_class;
  if (IsOpensmtpd(line.program)) return ParseOpensmtpd(line, event);
  if (IsSendmail(line.program)) return ParseSendmail(line, event);
  if (IsExim(line.program)) return ParseExim(line, event);
  // A line of a log that another program passes on.  It may be quoted text as well.
  return BeginsWithStamp(line.text) && MentionsMta(line.text) ? LineClass::kUnrecognized
                                                              : LineClass::kNotMine;
}

bool MentionsMta(std::string_view line) {
  return MentionsPostfix(line) || line.find(" sm-mta[") != std::string_view::npos ||
         line.find(" sendmail[") != std::string_view::npos ||
         line.find(" smtpd[") != std::string_view::npos ||
         line.find(" exim[") != std::string_view::npos;
}

}  // namespace mxtally

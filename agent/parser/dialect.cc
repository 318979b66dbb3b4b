#include "agent/parser/dialect.h"

#include "agent/parser/exim.h"
#include "agent/parser/opensmtpd.h"
#include "agent/parser/postfix.h"

namespace mxtally {

LineClass ParseDialect(const FramedLine& line, Event& event) {
  const LineClass line_class = ParsePostfix(line, event);
  if (line_class != LineClass::kNotMine) return line_class;
  if (IsOpensmtpd(line.program)) return ParseOpensmtpd(line, event);
  return IsExim(line.program) ? ParseExim(line, event) : LineClass::kNotMine;
}

bool MentionsMta(std::string_view line) { return MentionsPostfix(line); }

}  // namespace mxtally

#include "agent/parser/dialect.h"

#include "agent/parser/postfix.h"

namespace mxtally {

LineClass ParseDialect(const FramedLine& line, Event& event) { return ParsePostfix(line, event); }

bool MentionsMta(std::string_view line) { return MentionsPostfix(line); }

}  // namespace mxtally

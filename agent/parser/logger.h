// What loggers say of themselves: rsyslogd and systemd-journald tell in the log
// how many lines they lost to their rate limits.
//
// Only the header's tag tells these lines from others: their text may occur in
// what a peer chose.  Pure.

#ifndef MXTALLY_AGENT_PARSER_LOGGER_H_
#define MXTALLY_AGENT_PARSER_LOGGER_H_

#include <cstdint>
#include <optional>

#include "agent/parser/framer.h"

namespace mxtally {

// Lines that were lost, as `line` says; 1 for a line that only says that losing
// begins.  nullopt: it says nothing of the kind.
std::optional<int64_t> ParseSuppressed(const FramedLine& line);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_LOGGER_H_

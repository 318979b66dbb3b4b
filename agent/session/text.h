// Log text made fit for a record: bounded, printable, valid UTF-8.

#ifndef MXTALLY_AGENT_SESSION_TEXT_H_
#define MXTALLY_AGENT_SESSION_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace mxtally {

// Sets `out` to `text` with '?' for each '@', control character and byte that
// is not UTF-8, cut to `bytes_max` where a character ends.  `out` is
// empty or what an earlier call made of another text; its memory is reused.
void SetText(std::string_view text, size_t bytes_max, std::string& out);

// The same in lower case (ASCII), for names.
void SetLowerText(std::string_view text, size_t bytes_max, std::string& out);

// Whether SetText() takes it as it is, but for its length.
bool IsPlainText(std::string_view text);

// Whether every byte is visible ASCII.
bool IsGraphic(std::string_view text);

// Appends `host` as it stands in keys: lower case, at most 255 bytes, '_' for
// what a host name cannot hold.
void AppendKeyHost(std::string_view host, std::string& out);

inline constexpr size_t kKeyTagBytesMax = 128;

// Appends `tag` as it stands in keys: the end of it, which holds the process id, with '?' for what
// is not visible ASCII.
void AppendKeyTag(std::string_view tag, std::string& out);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_TEXT_H_

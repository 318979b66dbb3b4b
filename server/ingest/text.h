// Character sets of the fields that agents fill in.  Pure.

#ifndef MXTALLY_SERVER_INGEST_TEXT_H_
#define MXTALLY_SERVER_INGEST_TEXT_H_

#include "absl/strings/string_view.h"

namespace mxtally {

// Valid UTF-8 without control characters: neither ASCII's nor U+0080 to
// U+009F, which some terminals obey.
bool IsPrintable(absl::string_view text);

// [a-z0-9._-], not empty.
bool IsHostName(absl::string_view text);

// [A-Za-z0-9._:-], not empty.
bool IsServiceName(absl::string_view text);

// Visible ASCII, not empty.  A process id is not asked for: some loggers drop it.
bool IsSyslogTag(absl::string_view text);

bool HasUpperCase(absl::string_view text);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_INGEST_TEXT_H_

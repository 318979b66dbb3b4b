// A flat TOML file as keys, values as text, and lines.  Pure, but for reading
// the file.

#ifndef MXTALLY_PROTO_OPTIONS_TOML_FILE_H_
#define MXTALLY_PROTO_OPTIONS_TOML_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace mxtally {

struct TomlEntry {
  enum class Type { kText, kInteger, kFlag, kList, kOther };

  std::string key;
  int line = 0;  // From 1.
  Type type = Type::kOther;
  // One; kList: any number, each of which was a string.
  std::vector<std::string> values;
  // The type, and a short value, in TOML's words: "the integer 7", "a table".
  std::string found;
};

// Reads the file at `path`: its entries in order of their lines.
//   INVALID_ARGUMENT   not TOML; the message begins with "PATH:LINE: "
//   the error of the system, the message begins with "PATH: "
absl::StatusOr<std::vector<TomlEntry>> ReadTomlFile(const std::string& path);

}  // namespace mxtally

#endif  // MXTALLY_PROTO_OPTIONS_TOML_FILE_H_

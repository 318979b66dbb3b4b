#ifndef MXTALLY_TESTS_TEMPORARY_FOLDER_H_
#define MXTALLY_TESTS_TEMPORARY_FOLDER_H_

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace mxtally {

// A new, empty folder of a name that nothing else has, which other users may read
// in; removed with all that is in it at the end of its life.
class TemporaryFolder {
 public:
  TemporaryFolder() : path_(testing::TempDir() + "mxtally_test_XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr || ::chmod(path_.c_str(), 0755) != 0) {
      ADD_FAILURE() << "no folder " << path_;
    }
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  // The path of what has that name in the folder, there or not.
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_TEMPORARY_FOLDER_H_

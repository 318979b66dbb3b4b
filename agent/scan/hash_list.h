// A list of hashes that only grows.  Beyond a bound its beginning lies in a temporary
// file without a name, so that a scan of any length needs the same memory.

#ifndef MXTALLY_AGENT_SCAN_HASH_LIST_H_
#define MXTALLY_AGENT_SCAN_HASH_LIST_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "agent/source/scoped_fd.h"

namespace mxtally {

// One thread only.
class HashList {
 public:
  // Keeps so many in memory.  All, where there is no directory for temporary files, or
  // no room in it.
  explicit HashList(size_t in_memory_max) : in_memory_max_(in_memory_max) {}

  void Add(uint64_t hash) {
    in_memory_.push_back(hash);
    if (in_memory_.size() >= in_memory_max_) MoveToFile();
  }

  size_t size() const { return in_file_ + in_memory_.size(); }

  // Hands on every hash once, in no order, and forgets them.  What cannot be read back is
  // missing.
  void Take(const std::function<void(uint64_t)>& take);

 private:
  void MoveToFile();

  size_t in_memory_max_;
  std::vector<uint64_t> in_memory_;
  ScopedFd file_;
  size_t in_file_ = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SCAN_HASH_LIST_H_

// std::mutex with Clang's thread annotations.  Not absl::Mutex: the packaged one
// is not instrumented, so the thread sanitizer misreads it.

#ifndef MXTALLY_PROTO_MUTEX_MUTEX_H_
#define MXTALLY_PROTO_MUTEX_MUTEX_H_

#include <mutex>

#include "absl/base/thread_annotations.h"

namespace mxtally {

class ABSL_LOCKABLE Mutex {
 public:
  // Lower case, because std::condition_variable_any calls them.
  void lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace mxtally

#endif  // MXTALLY_PROTO_MUTEX_MUTEX_H_

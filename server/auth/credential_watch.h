// Keeps what the server's certificate files and its access list say, and looks
// again every few seconds.  What cannot be used is reported, and what was read
// before stays in use: open connections never notice, new ones get the newest
// that was whole.
//
// Thread-safe.

#ifndef MXTALLY_SERVER_AUTH_CREDENTIAL_WATCH_H_
#define MXTALLY_SERVER_AUTH_CREDENTIAL_WATCH_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/mutex/mutex.h"
#include "proto/tls/credential_files.h"
#include "server/auth/access_list.h"
#include "server/auth/authority.h"
#include "server/auth/observer.h"

namespace mxtally {

// The newest credentials.  Outlives the watch where gRPC still has a handshake
// under way when the server ends.  Thread-safe.
class CurrentCredentials {
 public:
  std::shared_ptr<const Credentials> get() const;
  void set(std::shared_ptr<const Credentials> next);

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const Credentials> credentials_ ABSL_GUARDED_BY(mutex_);
};

struct CredentialWatchOptions {
  CredentialFiles files;

  // Path of the access list; empty: none.
  std::string access_list;

  // How often the files are read.  They are small, and compared by content, so
  // that neither a clock nor a file system can hide a change.
  absl::Duration interval = absl::Seconds(5);

  // Called after each look, the first excepted, whatever was found.
  std::function<void()> on_looked = [] {};
};

class CredentialWatch {
 public:
  // Reads everything once; `authority` gets the access list, now and later.
  // Both references must outlive the watch.
  //   the errors of ReadCredentials() and AccessList::Parse()
  static absl::StatusOr<std::unique_ptr<CredentialWatch>> Start(CredentialWatchOptions options,
                                                                Authority& authority,
                                                                AuthObserver& observer);
  ~CredentialWatch();

  // Looks again now.
  void Reload();

  std::shared_ptr<const Credentials> current() const { return current_->get(); }
  std::shared_ptr<const CurrentCredentials> shared() const { return current_; }

 private:
  CredentialWatch(CredentialWatchOptions options, Authority& authority, AuthObserver& observer);

  void Run();
  // Whether something is new.
  absl::StatusOr<bool> ReadFiles() ABSL_EXCLUSIVE_LOCKS_REQUIRED(reading_);
  absl::StatusOr<bool> ReadList() ABSL_EXCLUSIVE_LOCKS_REQUIRED(reading_);

  const CredentialWatchOptions options_;
  Authority& authority_;
  AuthObserver& observer_;

  // Held while files are read, so that an older state never replaces a newer one.
  Mutex reading_;
  std::optional<AccessList> list_ ABSL_GUARDED_BY(reading_);
  std::string last_trouble_ ABSL_GUARDED_BY(reading_);

  const std::shared_ptr<CurrentCredentials> current_ = std::make_shared<CurrentCredentials>();

  Mutex mutex_;
  std::condition_variable_any changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_AUTH_CREDENTIAL_WATCH_H_

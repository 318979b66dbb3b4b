#include "server/auth/credential_watch.h"

#include <chrono>
#include <utility>

namespace mxtally {

std::shared_ptr<const Credentials> CurrentCredentials::get() const {
  MutexLock lock(mutex_);
  return credentials_;
}

void CurrentCredentials::set(std::shared_ptr<const Credentials> next) {
  MutexLock lock(mutex_);
  credentials_.swap(next);
}

CredentialWatch::CredentialWatch(CredentialWatchOptions options, Authority& authority,
                                 AuthObserver& observer)
    : options_(std::move(options)), authority_(authority), observer_(observer) {}

absl::StatusOr<std::unique_ptr<CredentialWatch>> CredentialWatch::Start(
    CredentialWatchOptions options, Authority& authority, AuthObserver& observer) {
  std::unique_ptr<CredentialWatch> watch(
      new CredentialWatch(std::move(options), authority, observer));
  {
    MutexLock lock(watch->reading_);
    if (absl::Status s = watch->ReadFiles().status(); !s.ok()) return s;
    if (absl::Status s = watch->ReadList().status(); !s.ok()) return s;
  }
  watch->thread_ = std::thread([watch = watch.get()] { watch->Run(); });
  return watch;
}

CredentialWatch::~CredentialWatch() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void CredentialWatch::Run() {
  while (true) {
    {
      MutexLock lock(mutex_);
      const auto deadline =
          std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options_.interval);
      while (!stopping_ && changed_.wait_until(mutex_, deadline) != std::cv_status::timeout) {
      }
      if (stopping_) return;
    }
    Reload();
  }
}

void CredentialWatch::Reload() {
  absl::Status trouble;
  bool news = false;
  {
    MutexLock lock(reading_);
    for (const absl::StatusOr<bool>& read : {ReadFiles(), ReadList()}) {
      if (!read.ok()) {
        trouble.Update(read.status());
      } else if (*read) {
        news = true;
      }
    }
    std::string text = trouble.ToString();
    if (trouble.ok()) {
      news = news || !last_trouble_.empty();
      last_trouble_.clear();
    } else if (text == last_trouble_) {
      trouble = absl::OkStatus();  // Was said.
    } else {
      last_trouble_ = std::move(text);
    }
  }
  if (!trouble.ok()) {
    observer_.OnFilesChanged(trouble);
  } else if (news) {
    observer_.OnFilesChanged(absl::OkStatus());
  }
  options_.on_looked();
}

absl::StatusOr<bool> CredentialWatch::ReadFiles() {
  absl::StatusOr<Credentials> read = ReadCredentials(options_.files);
  if (!read.ok()) return read.status();
  const std::shared_ptr<const Credentials> before = current_->get();
  if (before != nullptr && before->SameFilesAs(*read)) return false;
  current_->set(std::make_shared<const Credentials>(*std::move(read)));
  return true;
}

absl::StatusOr<bool> CredentialWatch::ReadList() {
  if (options_.access_list.empty()) return false;
  absl::StatusOr<AccessList> list = AccessList::Read(options_.access_list);
  if (!list.ok()) return list.status();
  if (list_.has_value() && *list == *list_) return false;
  list_ = *list;
  authority_.Replace(*std::move(list));
  return true;
}

}  // namespace mxtally

#include "agent/run/followed_logs.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/pipeline/timestamps.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

// As many as a hello may name.
constexpr size_t kLogsMax = 256;
// The server refuses a stream that names a log otherwise.
constexpr size_t kNameBytesMax = 1024;

bool IsPrintable(const std::string& name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

FollowedLogs::FollowedLogs(FollowedLogsOptions options, CheckpointKeeper& checkpoint,
                           DeliveryObserver& observer)
    : options_(std::move(options)), checkpoint_(checkpoint), observer_(observer) {}

void FollowedLogs::Find() {
  absl::StatusOr<std::vector<LogFollowerOptions>> found = options_.find();
  absl::Status status = found.status();
  if (found.ok()) {
    for (LogFollowerOptions& files : *found) {
      if (FindLog(files.path) != nullptr) continue;
      if (files.path.size() > kNameBytesMax || !IsPrintable(files.path)) {
        status = absl::InvalidArgumentError(
            absl::StrCat(files.path, ": not followed: a name has at most ", kNameBytesMax,
                         " bytes of printable ASCII"));
        continue;
      }
      if (logs_.size() >= kLogsMax) {
        status = absl::ResourceExhaustedError(
            absl::StrCat("more than ", kLogsMax, " logs; ", files.path, " is not followed"));
        break;
      }
      Meet(files);
      Log& log = logs_.emplace_back();
      log.files = std::move(files);
      log.pending = true;
    }
  }
  SetTrouble("", find_trouble_, status);
}

std::vector<std::string> FollowedLogs::names() const {
  std::vector<std::string> names;
  for (const Log& log : logs_) names.push_back(log.files.path);
  return names;
}

void FollowedLogs::Open(const v1::ServerWelcome& welcome) {
  if (welcome.database_id() != database_id_) {
    // Another database acknowledged nothing yet.
    for (Log& log : logs_) log.caught_up.reset();
    database_id_ = welcome.database_id();
  }
  welcome_ = welcome;
  budget_.Reset(welcome.collecting().hosts_max());
  for (Log& log : logs_) log.announced = false;
  LookAgain();
}

void FollowedLogs::Close() {
  welcome_.reset();
  for (Log& log : logs_) log.pipeline.reset();
}

void FollowedLogs::LookAgain() {
  for (Log& log : logs_) log.pending = true;
}

std::optional<PipelineBatch> FollowedLogs::Next() {
  for (size_t i = 0; i < logs_.size(); ++i) {
    const size_t turn = (next_ + i) % logs_.size();
    Log& log = logs_[turn];
    if (!log.pending) continue;
    absl::StatusOr<std::optional<PipelineBatch>> batch = ReadLog(log);
    if (!absl::IsCancelled(batch.status())) {
      SetTrouble(log.files.path, log.trouble, batch.status());
    }
    if (!batch.ok() || !batch->has_value()) {
      log.pending = false;
      continue;
    }
    if ((*batch)->batch.has_caught_up_time()) log.pending = false;
    for (const v1::Gap& gap : (*batch)->batch.gaps()) observer_.OnGap(log.files.path, gap);
    next_ = turn + 1;
    return *std::move(batch);
  }
  return std::nullopt;
}

void FollowedLogs::OnAcknowledgedEnd(const std::string& log_name, absl::Time time) {
  Log* log = FindLog(log_name);
  if (log == nullptr) return;
  log->caught_up = time;
  if (!std::exchange(log->announced, true)) observer_.OnCaughtUp(log_name);
}

v1::AgentStatus FollowedLogs::Status(
    const std::function<bool(const std::string&)>& all_acknowledged) {
  v1::AgentStatus status;
  for (Log& log : logs_) {
    v1::LogStatus& log_status = *status.add_logs();
    if (log.pipeline != nullptr) {
      log_status = log.pipeline->Status();
      if (!log.pipeline->mta().empty()) mta_ = log.pipeline->mta();
      if (log_status.has_caught_up_time() && all_acknowledged(log.files.path)) {
        log.caught_up = GetTimestamp(log_status.caught_up_time());
      }
    }
    log_status.set_log(log.files.path);
    log_status.clear_caught_up_time();
    if (log.caught_up) *log_status.mutable_caught_up_time() = ToTimestamp(*log.caught_up);
  }
  status.set_mta(mta_);
  if (options_.pipeline.assembler.peers != nullptr) {
    status.set_exclusion_list_hash(options_.pipeline.assembler.peers->list_hash());
  }
  return status;
}

absl::Status FollowedLogs::AllRead() const {
  if (!find_trouble_.ok()) return find_trouble_;
  if (logs_.empty()) return absl::NotFoundError("no log was found");
  for (const Log& log : logs_) {
    if (!log.trouble.ok()) return log.trouble;
    if (log.pipeline == nullptr || !log.pipeline->Status().has_caught_up_time()) {
      return absl::NotFoundError(absl::StrCat("log ", log.files.path, ": no such file"));
    }
  }
  return absl::OkStatus();
}

FollowedLogs::Log* FollowedLogs::FindLog(const std::string& name) {
  const auto log = std::find_if(logs_.begin(), logs_.end(),
                                [&name](const Log& l) { return l.files.path == name; });
  return log == logs_.end() ? nullptr : &*log;
}

// A log that cannot be read yet is met when it is opened.
void FollowedLogs::Meet(const LogFollowerOptions& files) {
  if (checkpoint_.Find(files.path).has_value()) return;
  absl::StatusOr<agent::v1::LogCheckpoint> met = MeetLog(files, options_.pipeline.now());
  if (met.ok()) checkpoint_.Meet(*std::move(met));
}

absl::Status FollowedLogs::OpenLog(Log& log) {
  std::optional<v1::Cut> stored;
  for (const v1::StoredCut& cut : welcome_->stored_cuts()) {
    if (cut.log() == log.files.path) stored = cut.cut();
  }
  std::optional<agent::v1::LogCheckpoint> checkpoint = checkpoint_.Find(log.files.path);
  const bool same_database = checkpoint && checkpoint->database_id() == welcome_->database_id();

  LogPipelineOptions options = options_.pipeline;
  options.follower = log.files;
  if (options.hosts) {
    options.hosts->collecting = welcome_->collecting();
    options.hosts->budget = &budget_;
  }
  if (welcome_->batch_bytes_max() > 0) {
    options.batch_bytes_max = std::min(options.batch_bytes_max, welcome_->batch_bytes_max());
  }
  absl::StatusOr<std::unique_ptr<LogPipeline>> pipeline = options_.open_pipeline(
      std::move(options), std::move(checkpoint), std::move(stored), same_database);
  if (!pipeline.ok()) return pipeline.status();
  log.pipeline = *std::move(pipeline);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<PipelineBatch>> FollowedLogs::ReadLog(Log& log) {
  if (log.pipeline == nullptr) {
    if (absl::Status s = OpenLog(log); !s.ok()) return s;
  }
  return log.pipeline->Next();
}

void FollowedLogs::SetTrouble(const std::string& name, absl::Status& trouble,
                              const absl::Status& status) {
  if (trouble == status) return;
  trouble = status;
  observer_.OnLogTrouble(name, status);
}

}  // namespace mxtally

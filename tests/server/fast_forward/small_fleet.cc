#include "tests/server/fast_forward/small_fleet.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/fleet/host_list.h"
#include "server/stats/tls_stats.h"
#include "storage/open.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

constexpr char kPeer[] = "mail.example.net[192.0.2.7]";

absl::Time HourOf(absl::Time time) {
  return absl::UnixEpoch() + absl::Floor(time - absl::UnixEpoch(), absl::Hours(1));
}

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

absl::Status Always() { return absl::OkStatus(); }

}  // namespace

SmallFleet::SmallFleet(const std::vector<std::string>& hosts, absl::Time start) : now_(start) {
  StoreOptions options;
  options.url = absl::StrCat("sqlite:", folder_.path(), "/mxtally.db");
  options.now = [this] { return now_; };
  absl::StatusOr<std::unique_ptr<Store>> store = OpenStore(options);
  EXPECT_TRUE(store.ok()) << store.status();
  store_ = *std::move(store);
  for (const std::string& name : hosts) {
    Host& host = hosts_[name];
    host.name = name;
    host.path = folder_ / absl::StrCat(name, "/mail.log");
    std::filesystem::create_directories(std::filesystem::path(host.path).parent_path());
  }
}

SmallFleet::~SmallFleet() {
  store_.reset();
  hosts_.clear();
}

void SmallFleet::SetAgentRuns(const std::string& host, bool runs) {
  Get(host).agent_runs = runs;
  Get(host).pipeline.reset();
}

void SmallFleet::SetServerRuns(bool runs) {
  server_runs_ = runs;
  // Every stream breaks, and is opened again where checkpoint and server say.
  for (auto& [name, host] : hosts_) host.pipeline.reset();
}

void SmallFleet::SetMail(const std::string& host, bool mail) { Get(host).mail = mail; }
void SmallFleet::SetClockAhead(const std::string& host, absl::Duration ahead) {
  Get(host).ahead = ahead;
}
void SmallFleet::SetTlsLogLevel(const std::string& host, int level) {
  Get(host).tls_log_level = level;
}

void SmallFleet::RemoveLog(const std::string& name) {
  Host& host = Get(name);
  std::filesystem::remove(host.path);
  for (const absl::Time stamp : host.unread) {
    --host.sessions[HourOf(stamp)];
    host.questionable.insert(HourOf(stamp));
  }
  host.unread.clear();
}

void SmallFleet::LoseLines(const std::string& name, int sessions) {
  Host& host = Get(name);
  host.questionable.insert(HourOf(now_));
  WriteLine(host, now_,
            absl::StrCat("rsyslogd: imuxsock[pid: 100, name: smtpd]: ", 2 * sessions,
                         " messages lost due to rate-limiting (200 allowed within 5 seconds)"));
}

void SmallFleet::Retire(const std::string& host, absl::Time time) {
  Get(host).decommissioned = true;
  const absl::StatusOr<absl::Time> retired = store_->RetireHost(host, time);
  EXPECT_TRUE(retired.ok()) << retired.status();
}

void SmallFleet::Step() {
  if (steps_++ > 0) now_ += kStep;
  for (auto& [name, host] : hosts_) {
    if (host.decommissioned) continue;
    if (host.ahead != absl::ZeroDuration()) {
      host.questionable.insert(HourOf(now_));
      host.questionable.insert(HourOf(now_ + host.ahead));
    }
    if (host.mail) WriteSession(host);
    host.clock = now_ + host.ahead + absl::Seconds(2);
  }
  for (auto& [name, host] : hosts_) {
    if (server_runs_ && host.agent_runs) Deliver(host);
  }
}

void SmallFleet::WriteSession(Host& host) {
  const absl::Time stamp = now_ + host.ahead;
  const bool tls = steps_ % 2 == 0;
  const std::string tag = "postfix/smtpd[100]: ";
  WriteLine(host, stamp, absl::StrCat(tag, "connect from ", kPeer));
  if (tls && host.tls_log_level > 0) {
    WriteLine(host, stamp,
              absl::StrCat(tag, "Anonymous TLS connection established from ", kPeer,
                           ": TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"));
  } else if (tls) {
    host.without_ciphers.insert(HourOf(stamp));
  }
  WriteLine(
      host, stamp + absl::Seconds(1),
      absl::StrCat(tag, "disconnect from ", kPeer, " ehlo=", tls ? 2 : 1, tls ? " starttls=1" : "",
                   " mail=1 rcpt=1 data=1 quit=1 commands=", tls ? 7 : 5));
  ++host.sessions[HourOf(stamp)];
  host.unread.push_back(stamp);
}

void SmallFleet::WriteLine(const Host& host, absl::Time stamp, const std::string& text) {
  std::ofstream(host.path, std::ios::app)
      << Rfc3339(stamp) << " " << host.name << " " << text << "\n";
}

void SmallFleet::Open(Host& host) {
  absl::StatusOr<std::vector<v1::StoredCut>> cuts = store_->StoredCuts(host.name);
  ASSERT_TRUE(cuts.ok()) << cuts.status();
  std::optional<v1::Cut> stored;
  if (!cuts->empty()) stored = cuts->front().cut();
  LogPipelineOptions options;
  options.follower.path = host.path;
  options.assembler.host = host.name;
  options.now = [&host] { return host.clock; };
  absl::StatusOr<std::unique_ptr<LogPipeline>> pipeline =
      LogPipeline::Open(std::move(options), host.checkpoint, std::move(stored),
                        /*same_database=*/true);
  ASSERT_TRUE(pipeline.ok()) << pipeline.status();
  host.pipeline = *std::move(pipeline);
}

// The agent's work between two life signs.
void SmallFleet::Deliver(Host& host) {
  if (host.pipeline == nullptr) Open(host);
  ASSERT_NE(host.pipeline, nullptr);
  while (true) {
    absl::StatusOr<std::optional<PipelineBatch>> batch = host.pipeline->Next();
    ASSERT_TRUE(batch.ok()) << batch.status();
    if (!batch->has_value()) break;
    const v1::SessionBatch whole = (*batch)->Whole();
    HostBatch host_batch;
    host_batch.host = host.name;
    host_batch.batch = &whole;
    const auto committed = store_->Commit({&host_batch, 1});
    ASSERT_TRUE(committed.ok()) << committed.status();
    if ((*batch)->checkpoint) host.checkpoint = (*batch)->checkpoint;
  }
  host.unread.clear();
  HostSighting sighting;
  sighting.host = host.name;
  sighting.logs = {host.pipeline->Status()};
  sighting.clock_ahead = host.ahead;
  sighting.mta_config.emplace().set_smtpd_tls_loglevel(host.tls_log_level);
  const absl::Status touched = store_->Touch({&sighting, 1});
  ASSERT_TRUE(touched.ok()) << touched;
}

int64_t SmallFleet::SessionsToCount(const std::string& host, absl::Time hour) const {
  const auto& sessions = hosts_.at(host).sessions;
  const auto known = sessions.find(hour);
  return known == sessions.end() ? 0 : known->second;
}

bool SmallFleet::IsWhole(const std::string& host, absl::Time hour) const {
  return !hosts_.at(host).questionable.contains(hour);
}

bool SmallFleet::ShowsCiphers(const std::string& host, absl::Time hour) const {
  return !hosts_.at(host).without_ciphers.contains(hour);
}

v1::GetTlsStatsResponse SmallFleet::Ask(const std::string& host, absl::Time start,
                                        absl::Time end) const {
  v1::GetTlsStatsRequest request;
  request.set_window(absl::StrCat(Rfc3339(start), "/", Rfc3339(end)));
  if (!host.empty()) request.mutable_filter()->add_hosts(host);
  const auto answer = AnswerTlsStats(*store_, request, now_ + absl::Seconds(2), Always);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.ok() ? *answer : v1::GetTlsStatsResponse();
}

v1::Host SmallFleet::Find(const std::string& host) const {
  v1::GetHostRequest request;
  request.set_host(host);
  const auto answer = AnswerGetHost(
      *store_, request, now_ + absl::Seconds(2), [](const std::string&) { return false; }, Always);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.ok() ? answer->host() : v1::Host();
}

}  // namespace mxtally

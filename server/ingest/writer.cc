#include "server/ingest/writer.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace mxtally {
namespace {

// Life signs of so many hosts are written at once, due or not.
constexpr size_t kSightingsMax = 10'000;

// A host that names more logs than this has its life signs written one by one.
constexpr size_t kLogsMax = 1024;

// Whether the store as a whole is in trouble, rather than one batch.
bool ConcernsAll(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsUnavailable(status) ||
         absl::IsDataLoss(status);
}

// What an agent can do about it: wait, for room or for help.
absl::Status ForAgent(const absl::Status& status) {
  const std::string message = absl::StrCat("the store did not commit: ", status.message());
  return absl::IsResourceExhausted(status) ? absl::ResourceExhaustedError(message)
                                           : absl::UnavailableError(message);
}

void Add(BatchOutcome& sum, const BatchOutcome& outcome) {
  sum.inserted += outcome.inserted;
  sum.replaced += outcome.replaced;
  sum.duplicates += outcome.duplicates;
  sum.key_conflicts += outcome.key_conflicts;
  sum.sealed += outcome.sealed;
  sum.folded += outcome.folded;
  sum.other_source += outcome.other_source;
}

std::string SourceName(v1::SourceKind kind) {
  switch (kind) {
    case v1::SOURCE_KIND_FILES:
      return "log files";
    case v1::SOURCE_KIND_JOURNAL:
      return "the journal";
    case v1::SOURCE_KIND_COLLECTOR:
      return "a central log host, by its collector";
    default:
      return absl::StrCat("a source of kind ", static_cast<int>(kind));
  }
}

// Lets the newer word on each log stand.
void MergeLogs(const std::vector<v1::LogStatus>& from, std::vector<v1::LogStatus>& into) {
  for (const v1::LogStatus& log : from) {
    const auto same = std::find_if(into.begin(), into.end(), [&](const v1::LogStatus& known) {
      return known.log() == log.log();
    });
    if (same == into.end()) {
      into.push_back(log);
    } else {
      *same = log;
    }
  }
}

}  // namespace

Writer::Writer(Store& store, IngestObserver& observer, HostIncidents& incidents,
               WriterOptions options)
    : store_(store),
      observer_(observer),
      incidents_(incidents),
      options_(std::move(options)),
      thread_([this] { Run(); }) {}

Writer::~Writer() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Writer::Open(ClientPtr client, HostSighting sighting) {
  Submit({std::move(client), OpenWork{std::move(sighting)}}, 0);
}

void Writer::Commit(ClientPtr client, Batch batch) {
  const int64_t bytes = batch.bytes;
  Submit({std::move(client), std::move(batch)}, bytes);
}

void Writer::Note(ClientPtr client, HostSighting sighting, int64_t bytes) {
  Submit({std::move(client), NoteWork{std::move(sighting), bytes}}, bytes);
}

void Writer::Flush(ClientPtr client) { Submit({std::move(client), FlushWork{}}, 0); }

void Writer::Perform(const std::function<void(Store&)>& work) {
  std::promise<void> done;
  Submit({nullptr, PerformWork{&work, &done}}, 0);
  done.get_future().wait();
}

void Writer::Submit(Job job, int64_t bytes) {
  {
    MutexLock lock(mutex_);
    queue_.push_back(std::move(job));
    queue_bytes_ += bytes;
    if (!busy_since_) busy_since_ = std::chrono::steady_clock::now();
  }
  changed_.notify_one();
}

bool Writer::HasRoom(const ClientPtr& client) {
  MutexLock lock(mutex_);
  if (queue_bytes_ < options_.queue_bytes_max) return true;
  waiting_for_room_.push_back(client);
  return false;
}

int64_t Writer::queue_bytes() const {
  MutexLock lock(mutex_);
  return queue_bytes_;
}

absl::Duration Writer::busy_for() const {
  MutexLock lock(mutex_);
  if (!busy_since_) return absl::ZeroDuration();
  return absl::FromChrono(std::chrono::steady_clock::now() - *busy_since_);
}

std::pair<absl::Status, absl::Time> Writer::last_write() const {
  MutexLock lock(mutex_);
  return {last_status_, last_time_};
}

void Writer::Run() {
  while (const std::optional<Jobs> jobs = TakeGroup()) {
    Do(*jobs);
    MaintainIfDue();
  }
  Touch();
}

std::optional<Writer::Jobs> Writer::TakeGroup() {
  MutexLock lock(mutex_);
  while (queue_.empty()) {
    if (stopping_) return std::nullopt;
    busy_since_.reset();
    const auto due = sightings_.empty() ? maintain_due_ : std::min(touch_due_, maintain_due_);
    if (changed_.wait_until(mutex_, due) == std::cv_status::timeout) {
      busy_since_ = std::chrono::steady_clock::now();
      return Jobs();
    }
  }
  busy_since_ = std::chrono::steady_clock::now();
  Jobs jobs;
  int64_t bytes = 0;
  while (!queue_.empty() && bytes < options_.group_bytes_max &&
         static_cast<int>(jobs.size()) < options_.group_jobs_max) {
    if (const Batch* batch = std::get_if<Batch>(&queue_.front().work)) bytes += batch->bytes;
    jobs.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return jobs;
}

// Batches first, then life signs: a life sign may say that the end of a log was
// reached, which is true only once the batches before it are stored.
void Writer::Do(const Jobs& jobs) {
  Batches batches;
  for (const Job& job : jobs) {
    if (std::holds_alternative<Batch>(job.work)) batches.push_back(&job);
  }
  if (!batches.empty()) CommitBatches(batches);

  bool flush = false;
  for (const Job& job : jobs) {
    if (const auto* open = std::get_if<OpenWork>(&job.work)) Collect(open->sighting);
    if (const auto* note = std::get_if<NoteWork>(&job.work)) {
      Collect(note->sighting);
      Release(note->bytes);
      job.client->OnNoted(note->bytes);
    }
    if (std::holds_alternative<FlushWork>(job.work)) flush = true;
    if (std::holds_alternative<PerformWork>(job.work)) flush = true;
  }
  if (flush || TouchIsDue()) Touch();

  for (const Job& job : jobs) {
    if (const auto* open = std::get_if<OpenWork>(&job.work)) {
      const absl::Status source = CheckSource(open->sighting);
      job.client->OnOpened(source.ok() ? store_.StoredCuts(open->sighting.host) : source);
    }
    if (const auto* perform = std::get_if<PerformWork>(&job.work)) {
      (*perform->work)(store_);
      perform->done->set_value();
    }
    if (std::holds_alternative<FlushWork>(job.work)) job.client->OnFlushed();
  }
}

void Writer::CommitBatches(const Batches& batches) {
  const absl::Status status = CommitOnce(batches);
  if (status.ok()) return;
  if (ConcernsAll(status)) {
    Fail(batches, status);
  } else {
    CommitApart(batches);
  }
}

absl::Status Writer::CommitOnce(const Batches& batches) {
  std::vector<HostBatch> host_batches;
  host_batches.reserve(batches.size());
  int64_t bytes = 0;
  for (const Job* job : batches) {
    const Batch& batch = std::get<Batch>(job->work);
    host_batches.push_back(
        {batch.host, batch.batch, batch.serialized, batch.rejected, batch.collected});
    bytes += batch.bytes;
  }

  const auto start = std::chrono::steady_clock::now();
  const absl::StatusOr<std::vector<BatchOutcome>> outcomes = store_.Commit(host_batches);
  Report(outcomes.status());
  if (!outcomes.ok()) return outcomes.status();
  const absl::Duration duration = absl::FromChrono(std::chrono::steady_clock::now() - start);
  if (options_.after_commit) options_.after_commit();

  BatchOutcome sum;
  for (size_t i = 0; i < outcomes->size(); ++i) {
    Add(sum, (*outcomes)[i]);
    for (const std::string& host : (*outcomes)[i].other_source_hosts) {
      incidents_.Note(HostIncident::kOtherSource, host,
                      absl::StrCat("the collector ", host_batches[i].host));
      observer_.OnOtherSource(host, host_batches[i].host);
    }
  }
  observer_.OnCommitted(static_cast<int64_t>(batches.size()), bytes, sum, duration);

  Release(bytes);
  absl::flat_hash_map<Client*, int64_t> committed;
  for (const Job* job : batches) {
    committed[job->client.get()] = std::get<Batch>(job->work).batch->sequence();
  }
  for (const auto& [client, sequence] : committed) client->OnCommitted(sequence);
  return absl::OkStatus();
}

void Writer::CommitApart(const Batches& batches) {
  absl::flat_hash_map<Client*, Batches> by_client;
  for (const Job* job : batches) by_client[job->client.get()].push_back(job);
  for (const auto& [client, own] : by_client) {
    if (const absl::Status status = CommitOnce(own); !status.ok()) Fail(own, status);
  }
}

void Writer::Fail(const Batches& batches, const absl::Status& status) {
  absl::flat_hash_set<Client*> clients;
  int64_t bytes = 0;
  for (const Job* job : batches) {
    clients.insert(job->client.get());
    bytes += std::get<Batch>(job->work).bytes;
  }
  // What they have queued behind will not be acknowledged either.
  {
    MutexLock lock(mutex_);
    std::erase_if(queue_, [&](const Job& job) {
      const Batch* batch = std::get_if<Batch>(&job.work);
      if (batch == nullptr || !clients.contains(job.client.get())) return false;
      bytes += batch->bytes;
      return true;
    });
  }
  Release(bytes);
  for (Client* client : clients) client->OnFailed(ForAgent(status));
}

void Writer::Collect(const HostSighting& sighting) {
  if (sightings_[sighting.host].logs.size() >= kLogsMax) Touch();
  HostSighting& known = sightings_[sighting.host];
  known.host = sighting.host;
  if (!sighting.agent_version.empty()) known.agent_version = sighting.agent_version;
  if (!sighting.mta.empty()) known.mta = sighting.mta;
  if (sighting.clock_ahead) known.clock_ahead = sighting.clock_ahead;
  if (known.source_kind == v1::SOURCE_KIND_UNSPECIFIED) known.source_kind = sighting.source_kind;
  if (sighting.mta_config) known.mta_config = sighting.mta_config;
  MergeLogs(sighting.logs, known.logs);
}

absl::Status Writer::CheckSource(const HostSighting& sighting) {
  if (sighting.source_kind == v1::SOURCE_KIND_UNSPECIFIED) return absl::OkStatus();
  absl::StatusOr<v1::SourceKind> kind = store_.SourceKindOf(sighting.host);
  if (kind.ok() && *kind == v1::SOURCE_KIND_UNSPECIFIED) {
    Touch();  // So that it is known to the next one.
    kind = store_.SourceKindOf(sighting.host);
  }
  if (!kind.ok()) return kind.status();
  if (*kind == v1::SOURCE_KIND_UNSPECIFIED || *kind == sighting.source_kind) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "host ", sighting.host, " is read from ", SourceName(*kind), ", and this agent reads ",
      SourceName(sighting.source_kind), ": its sessions would be counted twice.  To switch, stop ",
      "the agent, retire the host (FleetService.RetireHost), and start the agent again"));
}

void Writer::MaintainIfDue() {
  const auto start = std::chrono::steady_clock::now();
  if (start < maintain_due_) return;
  const absl::StatusOr<bool> more = store_.Maintain(options_.maintain_budget);
  if (!more.ok()) Report(more.status());
  const auto end = std::chrono::steady_clock::now();
  maintain_due_ = more.ok() && *more ? end + 9 * (end - start)
                                     : end + absl::ToChronoNanoseconds(options_.maintain_interval);
}

bool Writer::TouchIsDue() const {
  return sightings_.size() >= kSightingsMax || std::chrono::steady_clock::now() >= touch_due_;
}

void Writer::Touch() {
  if (sightings_.empty()) return;
  std::vector<HostSighting> sightings;
  sightings.reserve(sightings_.size());
  for (auto& [host, sighting] : sightings_) sightings.push_back(std::move(sighting));
  sightings_.clear();
  // Not tried again: the next life sign says the same, and more.
  Report(store_.Touch(sightings));
  touch_due_ =
      std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options_.touch_interval);
}

void Writer::Release(int64_t bytes) {
  std::vector<std::weak_ptr<Client>> waiting;
  {
    MutexLock lock(mutex_);
    queue_bytes_ -= bytes;
    if (queue_bytes_ < options_.queue_bytes_max) waiting.swap(waiting_for_room_);
  }
  for (const std::weak_ptr<Client>& weak : waiting) {
    if (const ClientPtr client = weak.lock()) client->OnRoom();
  }
}

void Writer::Report(const absl::Status& status) {
  {
    MutexLock lock(mutex_);
    last_status_ = status;
    last_time_ = absl::Now();
  }
  if (!status.ok()) observer_.OnStoreFailed(status);
}

}  // namespace mxtally

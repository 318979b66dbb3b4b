#include "server/metrics/server_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

struct Description {
  const char* name;
  const char* help;
};

// Every metric of the server, but those of the store, which are named
// mxtally_server_store_ and its own word.  Labels: `outcome`, `reason` and
// `code` have the values listed or those of gRPC; nothing is labelled by host.
constexpr Description kBuildInfo = {"mxtally_server_build_info",
                                    "1, with the release as label `version`."};
constexpr Description kBatches = {"mxtally_server_ingest_batches_total", "Batches committed."};
constexpr Description kBytes = {"mxtally_server_ingest_bytes_total",
                                "Bytes of the batches committed, in serialized form."};
constexpr Description kSessions = {
    "mxtally_server_ingest_sessions_total",
    "Sessions committed, by `outcome`: inserted; replaced by a record made from more of the log; "
    "duplicate of one stored; key_conflict, which differs from the one stored and was dropped; "
    "sealed, for a day that is closed; other_source, of a host that a collector told of and an "
    "agent of its own as well, and not counted."};
constexpr Description kFolded = {
    "mxtally_server_ingest_sessions_folded_total",
    "Sessions counted under `other`, because their host and hour had too many label sets."};
constexpr Description kRejected = {
    "mxtally_server_ingest_sessions_rejected_total",
    "Sessions that break the contract of a record, by `reason`: missing, host, text, time, "
    "out_of_range.  The agent's log tells which."};
constexpr Description kCommitSeconds = {
    "mxtally_server_ingest_commit_seconds",
    "Time of a transaction over the batches of all streams, wait for the disk included."};
constexpr Description kStoreFailures = {
    "mxtally_server_ingest_store_failures_total",
    "Transactions that failed.  Nothing of them was acknowledged."};
constexpr Description kQueueBytes = {
    "mxtally_server_ingest_queue_bytes",
    "Bytes of batches that wait for a commit or are in one, in serialized form."};
constexpr Description kConnections = {
    "mxtally_server_connections",
    "Connections to the port of gRPC that are open now, also those without a call."};
constexpr Description kConnectionsRefused = {
    "mxtally_server_connections_refused_total",
    "Connections to the port of gRPC that were closed at once, by `reason`: address, which had as "
    "many open as it may; descriptors, of which the process had no more."};
constexpr Description kStreams = {"mxtally_server_ingest_streams", "Streams of agents open now."};
constexpr Description kStreamsOpened = {"mxtally_server_ingest_streams_opened_total",
                                        "Streams whose agent told its host."};
constexpr Description kStreamsOfOneHost = {
    "mxtally_server_ingest_streams_of_one_host_total",
    "Streams opened while another of the same host was open: its connection was lost, or two "
    "agents call themselves by one name."};
constexpr Description kTwoAgents = {
    "mxtally_server_ingest_two_agents_total",
    "Life signs of an agent while a newer one of the same host was connected: two agents call "
    "themselves by one name.  ListHosts tells which."};
constexpr Description kStreamsEnded = {"mxtally_server_ingest_streams_ended_total",
                                       "Streams that ended, by gRPC's status `code`."};
constexpr Description kQuotaHits = {
    "mxtally_server_ingest_quota_hits_total",
    "Streams that were ended or refused because their agent took more than it may, by `quota`: "
    "streams, bytes, sessions, hosts of a collector."};
constexpr Description kDenied = {
    "mxtally_server_auth_denied_total",
    "Calls and streams that were denied, by `reason`: no_identity, neither certificate nor token; "
    "token, unknown or sent without encryption; certificate, expired or not valid yet; role, the "
    "caller may not call this, or is no collector; host, an agent's stream for a host that is not "
    "its own, or listed for it."};
constexpr Description kHandshakesFailed = {
    "mxtally_server_tls_handshakes_failed_total",
    "TLS handshakes that failed: a certificate of another authority, expired or not valid yet; a "
    "client that speaks no TLS, or too old a version; or one that did not accept this server."};
constexpr Description kFilesUnusable = {
    "mxtally_server_auth_files_unusable",
    "1 while a certificate file or the access list cannot be used; what was read before is."};
constexpr Description kCertificateExpiry = {
    "mxtally_server_tls_certificate_expiry_timestamp_seconds",
    "When the server's own certificate expires."};
constexpr Description kAuthoritiesExpiry = {
    "mxtally_server_tls_client_ca_expiry_timestamp_seconds",
    "When the first of the authorities for client certificates expires."};
constexpr Description kAgentExpiry = {
    "mxtally_server_tls_agent_certificate_expiry_timestamp_seconds",
    "When the first of the connected agents' certificates expires.  ListHosts tells which."};
constexpr char kStorePrefix[] = "mxtally_server_store_";
constexpr char kStoreHelp[] = "A figure of the store.";

// From a fast disk's fsync to a stall that an operator must see.
const prometheus::Histogram::BucketBoundaries kCommitBuckets = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

constexpr int kStatusCodeCount = 17;

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Registry;

Family<Counter>& CounterFamily(Registry& registry, const Description& description) {
  return prometheus::BuildCounter()
      .Name(description.name)
      .Help(description.help)
      .Register(registry);
}

Counter& AddCounter(Registry& registry, const Description& description) {
  return CounterFamily(registry, description).Add({});
}

Gauge& AddGauge(Registry& registry, const Description& description,
                const prometheus::Labels& labels = {}) {
  return prometheus::BuildGauge()
      .Name(description.name)
      .Help(description.help)
      .Register(registry)
      .Add(labels);
}

}  // namespace

// Every label value is there from the beginning, at 0, so that a rate sees the
// first event.
struct ServerMetrics::Registered {
  explicit Registered(const std::string& version)
      : batches(AddCounter(registry, kBatches)),
        bytes(AddCounter(registry, kBytes)),
        folded(AddCounter(registry, kFolded)),
        store_failures(AddCounter(registry, kStoreFailures)),
        streams_opened(AddCounter(registry, kStreamsOpened)),
        streams_of_one_host(AddCounter(registry, kStreamsOfOneHost)),
        two_agents(AddCounter(registry, kTwoAgents)),
        handshakes_failed(AddCounter(registry, kHandshakesFailed)),
        files_unusable(AddGauge(registry, kFilesUnusable)),
        queue_bytes(AddGauge(registry, kQueueBytes)),
        streams(AddGauge(registry, kStreams)),
        connections(AddGauge(registry, kConnections)),
        commit_seconds(prometheus::BuildHistogram()
                           .Name(kCommitSeconds.name)
                           .Help(kCommitSeconds.help)
                           .Register(registry)
                           .Add({}, kCommitBuckets)) {
    AddGauge(registry, kBuildInfo, {{"version", version}}).Set(1);
    Family<Counter>& sessions = CounterFamily(registry, kSessions);
    inserted = &sessions.Add({{"outcome", "inserted"}});
    replaced = &sessions.Add({{"outcome", "replaced"}});
    duplicates = &sessions.Add({{"outcome", "duplicate"}});
    key_conflicts = &sessions.Add({{"outcome", "key_conflict"}});
    sealed = &sessions.Add({{"outcome", "sealed"}});
    other_source = &sessions.Add({{"outcome", "other_source"}});
    Family<Counter>& rejected_family = CounterFamily(registry, kRejected);
    for (int i = 0; i < kRejectKindCount; ++i) {
      rejected[i] = &rejected_family.Add(
          {{"reason", std::string(RejectKindName(static_cast<RejectKind>(i)))}});
    }
    Family<Counter>& quota_family = CounterFamily(registry, kQuotaHits);
    for (int i = 0; i < kQuotaCount; ++i) {
      quota_hits[i] = &quota_family.Add({{"quota", std::string(QuotaName(static_cast<Quota>(i)))}});
    }
    Family<Counter>& denied_family = CounterFamily(registry, kDenied);
    for (int i = 0; i < kDenialReasonCount; ++i) {
      denied[i] = &denied_family.Add(
          {{"reason", std::string(DenialReasonName(static_cast<DenialReason>(i)))}});
    }
    Family<Counter>& refused_family = CounterFamily(registry, kConnectionsRefused);
    for (int i = 0; i < kConnectionRefusalCount; ++i) {
      refused[i] = &refused_family.Add(
          {{"reason", std::string(ConnectionRefusalName(static_cast<ConnectionRefusal>(i)))}});
    }
    Family<Counter>& ended_family = CounterFamily(registry, kStreamsEnded);
    for (int i = 0; i < kStatusCodeCount; ++i) {
      ended[i] =
          &ended_family.Add({{"code", absl::StatusCodeToString(static_cast<absl::StatusCode>(i))}});
    }
  }

  Registry registry;
  Counter& batches;
  Counter& bytes;
  Counter& folded;
  Counter& store_failures;
  Counter& streams_opened;
  Counter& streams_of_one_host;
  Counter& two_agents;
  Counter& handshakes_failed;
  Gauge& files_unusable;
  Gauge& queue_bytes;
  Gauge& streams;
  Gauge& connections;
  prometheus::Histogram& commit_seconds;
  Counter* inserted;
  Counter* replaced;
  Counter* duplicates;
  Counter* key_conflicts;
  Counter* sealed;
  Counter* other_source;
  std::array<Counter*, kRejectKindCount> rejected;
  std::array<Counter*, kQuotaCount> quota_hits;
  std::array<Counter*, kDenialReasonCount> denied;
  std::array<Counter*, kConnectionRefusalCount> refused;
  std::array<Counter*, kStatusCodeCount> ended;
};

ServerMetrics::ServerMetrics(const std::string& version, TellIncident tell)
    : tell_(std::move(tell)), registered_(std::make_unique<Registered>(version)) {}

ServerMetrics::~ServerMetrics() = default;

std::string ServerMetrics::Text(const LiveFigures& live) {
  std::lock_guard lock(text_mutex_);
  registered_->queue_bytes.Set(static_cast<double>(live.queue_bytes));
  registered_->streams.Set(static_cast<double>(live.streams));
  registered_->connections.Set(static_cast<double>(live.connections));
  // A certificate that there is not has no series, rather than one at 0.
  const std::pair<const Description&, absl::Time> expiries[] = {
      {kCertificateExpiry, live.certificate_expires},
      {kAuthoritiesExpiry, live.authorities_expire},
      {kAgentExpiry, live.first_agent_certificate_expires}};
  for (const auto& [description, time] : expiries) {
    prometheus::Family<Gauge>& family = prometheus::BuildGauge()
                                            .Name(description.name)
                                            .Help(description.help)
                                            .Register(registered_->registry);
    Gauge& gauge = family.Add({});
    if (time == absl::InfiniteFuture()) {
      family.Remove(&gauge);
    } else {
      gauge.Set(absl::ToDoubleSeconds(time - absl::UnixEpoch()));
    }
  }
  for (const auto& [name, value] : live.store) {
    const std::string full_name = absl::StrCat(kStorePrefix, name);
    AddGauge(registered_->registry, {full_name.c_str(), kStoreHelp}).Set(value);
  }
  return prometheus::TextSerializer().Serialize(registered_->registry.Collect());
}

void ServerMetrics::OnCommitted(int64_t batches, int64_t bytes, const BatchOutcome& outcome,
                                absl::Duration duration) {
  registered_->batches.Increment(static_cast<double>(batches));
  registered_->bytes.Increment(static_cast<double>(bytes));
  registered_->inserted->Increment(static_cast<double>(outcome.inserted));
  registered_->replaced->Increment(static_cast<double>(outcome.replaced));
  registered_->duplicates->Increment(static_cast<double>(outcome.duplicates));
  registered_->key_conflicts->Increment(static_cast<double>(outcome.key_conflicts));
  registered_->sealed->Increment(static_cast<double>(outcome.sealed));
  registered_->other_source->Increment(static_cast<double>(outcome.other_source));
  registered_->folded.Increment(static_cast<double>(outcome.folded));
  registered_->commit_seconds.Observe(absl::ToDoubleSeconds(duration));
}

void ServerMetrics::OnStoreFailed(const absl::Status& status) {
  registered_->store_failures.Increment();
  tell_({IncidentKind::kStoreFailed, IncidentLevel::kError,
         absl::StrCat("store failed, nothing of this is acknowledged: ", status.ToString())});
}

void ServerMetrics::OnSessionRejected(const std::string& host, const Rejection& rejection) {
  registered_->rejected.at(static_cast<size_t>(rejection.kind))->Increment();
  tell_({IncidentKind::kRejected, IncidentLevel::kWarning,
         absl::StrCat("session of host ", host, " rejected: ", rejection.reason)});
}

void ServerMetrics::OnOtherSource(const std::string& host, const std::string& collector) {
  tell_({IncidentKind::kOtherSource, IncidentLevel::kWarning,
         absl::StrCat("host \"", host, "\" is not taken from the collector \"", collector,
                      "\", because an agent of its own has told of it; to switch, stop that agent "
                      "and retire the host")});
}

void ServerMetrics::OnStreamOpened(const std::string& host, int streams_of_host) {
  registered_->streams_opened.Increment();
  if (streams_of_host > 1) registered_->streams_of_one_host.Increment();
  tell_({IncidentKind::kStream, IncidentLevel::kDebug,
         absl::StrCat("host ", host, " connected, streams: ", streams_of_host)});
}

void ServerMetrics::OnTwoAgents(const std::string& host, const std::string& addresses) {
  registered_->two_agents.Increment();
  tell_({IncidentKind::kTwoAgents, IncidentLevel::kWarning,
         absl::StrCat("two agents call themselves host \"", host, "\", at ", addresses,
                      ": give each a name, and a certificate, of its own, or stop one")});
}

void ServerMetrics::OnQuotaHit(const std::string& agent, Quota quota) {
  registered_->quota_hits.at(static_cast<size_t>(quota))->Increment();
  tell_({IncidentKind::kQuota, IncidentLevel::kWarning,
         absl::StrCat("agent \"", agent, "\" has hit its quota of ", QuotaName(quota))});
}

void ServerMetrics::OnStreamEnded(const std::string& host, const absl::Status& status) {
  registered_->ended.at(static_cast<size_t>(status.code()))->Increment();
  if (absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status)) {
    tell_({IncidentKind::kRefused, IncidentLevel::kWarning,
           absl::StrCat("stream of host \"", host, "\" refused: ", status.ToString())});
  } else {
    tell_({IncidentKind::kStream, IncidentLevel::kDebug,
           absl::StrCat("stream of host ", host, " ended: ", status.ToString())});
  }
}

void ServerMetrics::OnDenied(const Denial& denial) {
  registered_->denied.at(static_cast<size_t>(denial.reason))->Increment();
  tell_({IncidentKind::kDenied, IncidentLevel::kWarning,
         absl::StrCat("denied ", denial.method, " to ", denial.caller, ": ",
                      denial.status.ToString())});
}

void ServerMetrics::OnHandshakeFailed(const std::string& why) {
  registered_->handshakes_failed.Increment();
  tell_({IncidentKind::kHandshake, IncidentLevel::kWarning, absl::StrCat("TLS: ", why)});
}

void ServerMetrics::OnGrpcTrouble(const std::string& what) {
  tell_({IncidentKind::kGrpc, IncidentLevel::kWarning, absl::StrCat("gRPC: ", what)});
}

void ServerMetrics::OnFilesChanged(const absl::Status& status) {
  registered_->files_unusable.Set(status.ok() ? 0 : 1);
  if (status.ok()) {
    tell_({IncidentKind::kFiles, IncidentLevel::kInfo,
           "certificates and access list were read again and are used from now on"});
  } else {
    tell_({IncidentKind::kFiles, IncidentLevel::kError,
           absl::StrCat(status.message(), "; what was read before stays in use")});
  }
}

void ServerMetrics::OnConnectionRefused(const std::string& address, ConnectionRefusal refusal) {
  registered_->refused.at(static_cast<size_t>(refusal))->Increment();
  if (refusal == ConnectionRefusal::kAddress) {
    tell_({IncidentKind::kAddressConnections, IncidentLevel::kWarning,
           absl::StrCat("connection of ", address,
                        " refused: it has as many as --address-connections permits")});
  } else {
    tell_({IncidentKind::kDescriptors, IncidentLevel::kWarning,
           "connection refused: as many are open as the limit on open files permits"});
  }
}

}  // namespace mxtally

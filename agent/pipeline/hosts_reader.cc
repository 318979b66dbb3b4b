#include "agent/pipeline/hosts_reader.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "agent/pipeline/timestamps.h"
#include "agent/session/text.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

// A host is forgotten for another one when it has not written for so long.
constexpr absl::Duration kForgottenAfter = absl::Hours(24);

// Of LogStatus.
constexpr size_t kForeignHostsMax = 16;

// Headers that were looked up, also those that forged lines name.
constexpr size_t kAliasesMax = 10'000;

}  // namespace

HostsReader::Host::Host(HostsReader& all, std::string host_name, HostPartBuilder* host_part)
    : name(std::move(host_name)),
      part(host_part),
      reader(
          [&] {
            AssemblerOptions options = all.assembler_options_;
            options.host = name;
            return options;
          }(),
          all.framer_options_, all.builder_, all.mask_, part == nullptr ? nullptr : &part->lines) {}

HostsReader::HostsReader(HostsReaderOptions options, const AssemblerOptions& assembler,
                         const FramerOptions& framer_options, BatchBuilder& builder, PeerMask* mask)
    : options_(std::move(options)),
      assembler_options_(assembler),
      names_(assembler.host, options_.collecting),
      framer_options_(framer_options),
      builder_(builder),
      mask_(mask),
      framer_(framer_options),
      own_(*this, assembler.host, nullptr) {}

HostsReader::~HostsReader() {
  for (Host& host : hosts_) builder_.RemoveHost(*host.part);
}

void HostsReader::Restore(const agent::v1::LogCheckpoint& checkpoint) {
  if (checkpoint.cut().has_log_time()) {
    clock_.Restore({.now = GetTimestamp(checkpoint.cut().log_time()), .jump = std::nullopt});
    builder_.SetTime(clock_.now());
  }
  own_.reader.Restore(checkpoint);
  Recount(own_);
  for (const agent::v1::HostCheckpoint& saved : checkpoint.hosts()) {
    // The server may not take it any more.
    if (names_.Find(saved.host()) != saved.host()) continue;
    const std::optional<Hosts::iterator> host = Add(saved.host());
    if (!host) continue;
    std::optional<absl::Time> log_time;
    if (saved.has_log_time()) log_time = GetTimestamp(saved.log_time());
    (*host)->reader.RestoreState(saved.framer(), saved.assembler(), log_time);
    (*host)->reader.set_mta(saved.mta());
    (*host)->part->start = log_time;
    (*host)->part->end = log_time;
    Recount(**host);
  }
}

void HostsReader::Save(agent::v1::LogCheckpoint& checkpoint) const {
  own_.reader.Save(checkpoint);
  checkpoint.set_hosts_from_log(true);
  checkpoint.clear_hosts();
  for (const Host& host : hosts_) {
    agent::v1::HostCheckpoint& saved = *checkpoint.add_hosts();
    saved.set_host(host.name);
    host.reader.SaveState(*saved.mutable_framer(), *saved.mutable_assembler());
    if (const std::optional<absl::Time> time = host.reader.last_time()) {
      *saved.mutable_log_time() = ToTimestamp(*time);
    }
    saved.set_mta(host.reader.mta());
  }
}

void HostsReader::ReadLine(std::string_view line, int64_t bytes) {
  FramedLine frame;
  Framer::Stamp stamp;
  if (!Framer::SplitHeader(line, frame, stamp)) {
    LineReader::CountUnframed(line, bytes, builder_.counts());
    return;
  }
  Host* const host = Find(frame.host);
  const bool timed = host != nullptr ? host->reader.ReadSplitLine(line, bytes, stamp, frame)
                                     : framer_.Resolve(stamp, frame.time);
  if (!timed) {
    LineReader::CountUnframed(line, bytes, builder_.counts());
    return;
  }
  clock_.Take(frame.time);
  builder_.SetTime(clock_.now());
  if (host == nullptr) {
    v1::LineCounts& counts = builder_.counts();
    counts.set_read(counts.read() + 1);
    counts.set_bytes(counts.bytes() + bytes);
    counts.set_ignored(counts.ignored() + 1);
    counts.set_foreign_host(counts.foreign_host() + 1);
    return;
  }
  if (host->part != nullptr) {
    host->part->end = host->reader.last_time();
    if (!host->part->start) host->part->start = host->part->end;
  }
  KeepBounds(*host);
}

void HostsReader::ReadOversizedLine(int64_t bytes) { own_.reader.ReadOversizedLine(bytes); }

void HostsReader::BeginFile(absl::Time reference_time, bool at_start) {
  file_at_start_ = at_start;
  framer_options_.reference_time = reference_time;
  if (!framer_.state().last_time) framer_ = Framer(framer_options_);
  own_.reader.BeginFile(reference_time, at_start);
  for (Host& host : hosts_) host.reader.BeginFile(reference_time, at_start);
}

void HostsReader::ReadGap(v1::GapReason reason, int64_t bytes_min) {
  builder_.AddGap(reason, last_time(), bytes_min);
  own_.reader.OnGap();
  for (Host& host : hosts_) host.reader.OnGap();
}

void HostsReader::EndBatch() {
  for (Host& host : hosts_) {
    if (host.part->lines.empty()) continue;
    host.part->open_sessions = host.reader.assembler().open_sessions();
    host.part->oldest_open = host.reader.assembler().oldest_open();
    host.part->mta = host.reader.mta();
  }
}

void HostsReader::AddStatus(v1::LogStatus& status) const {
  own_.reader.AddStatus(status);
  status.set_hosts(static_cast<int64_t>(hosts_.size()));
  status.set_lines_beyond_hosts_max(lines_beyond_hosts_max_);
  for (const std::string& host : foreign_hosts_) status.add_foreign_hosts(host);
}

// ---- Which host

HostsReader::Host* HostsReader::Find(std::string_view header_host) {
  if (header_host.empty()) return &own_;
  if (!last_lasting_ || header_host != last_header_) {
    last_header_ = header_host;
    last_alias_ = Resolve(header_host, last_lasting_);
  }
  Host* const host = last_alias_.host;
  if (host != nullptr && host->part != nullptr && host != &hosts_.back()) {
    hosts_.splice(hosts_.end(), hosts_, last_alias_.place);
  }
  return host;
}

HostsReader::Alias HostsReader::Resolve(std::string_view header_host, bool& lasting) {
  lasting = true;
  if (const auto known = aliases_.find(header_host); known != aliases_.end()) {
    return known->second;
  }
  Alias alias;
  const std::string name = names_.Find(header_host);
  if (name.empty()) {
    NoteForeign(std::string(header_host));
  } else if (name == names_.own()) {
    alias.host = &own_;
  } else {
    const auto known = by_name_.find(name);
    const std::optional<Hosts::iterator> place =
        known != by_name_.end() ? std::optional(known->second) : Add(name);
    if (!place) {
      // There may be room for the next line.
      lasting = false;
      ++lines_beyond_hosts_max_;
      return alias;
    }
    alias = {.host = &**place, .place = *place};
  }
  if (aliases_.size() >= kAliasesMax) aliases_.clear();
  aliases_.emplace(header_host, alias);
  return alias;
}

std::optional<HostsReader::Hosts::iterator> HostsReader::Add(const std::string& name) {
  const bool full = static_cast<int64_t>(hosts_.size()) >= options_.hosts_max;
  if (full && !MayForget()) return std::nullopt;
  if (options_.budget != nullptr && !options_.budget->Take(name)) return std::nullopt;
  if (full) ForgetHost(hosts_.begin());
  Host& host = hosts_.emplace_back(*this, name, &builder_.AddHost(name));
  host.reader.BeginFile(framer_options_.reference_time, file_at_start_);
  const auto place = std::prev(hosts_.end());
  by_name_.emplace(name, place);
  return place;
}

bool HostsReader::MayForget() const {
  if (hosts_.empty()) return false;
  const std::optional<absl::Time> last = hosts_.front().reader.last_time();
  return !last || !last_time() || *last_time() - *last > kForgottenAfter;
}

void HostsReader::ForgetHost(Hosts::iterator host) {
  host->reader.assembler().GiveUpAll();
  host->part->mta = host->reader.mta();
  host->part->open_sessions = 0;
  host->part->oldest_open.reset();
  sessions_ -= host->sessions;
  ordinals_ -= host->ordinals;
  builder_.RemoveHost(*host->part);
  by_name_.erase(host->name);
  aliases_.clear();
  last_lasting_ = false;
  hosts_.erase(host);
}

void HostsReader::NoteForeign(const std::string& name) {
  if (foreign_hosts_.size() >= kForeignHostsMax) return;
  std::string host;
  AppendKeyHost(name, host);
  if (std::find(foreign_hosts_.begin(), foreign_hosts_.end(), host) != foreign_hosts_.end()) return;
  foreign_hosts_.push_back(std::move(host));
}

// ---- Bounds

void HostsReader::Recount(Host& host) {
  const int64_t sessions = host.reader.assembler().remembered();
  const int64_t ordinals = host.reader.assembler().ordinals();
  sessions_ += sessions - std::exchange(host.sessions, sessions);
  ordinals_ += ordinals - std::exchange(host.ordinals, ordinals);
}

void HostsReader::KeepBounds(Host& changed) {
  Recount(changed);
  while (sessions_ > options_.sessions_max) {
    Host& host = Largest(&Host::sessions);
    host.reader.assembler().GiveUpOne();
    Recount(host);
  }
  while (ordinals_ > options_.ordinals_max) {
    Host& host = Largest(&Host::ordinals);
    host.reader.assembler().ForgetOldestOrdinals();
    Recount(host);
  }
}

HostsReader::Host& HostsReader::Largest(int64_t Host::*figure) {
  Host* largest = &own_;
  for (Host& host : hosts_) {
    if (host.*figure > largest->*figure) largest = &host;
  }
  return *largest;
}

}  // namespace mxtally

#include "agent/scan/scan_settings.h"

#include <string>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

absl::StatusOr<absl::Time> ParseTime(const char* option, const std::string& text,
                                     absl::TimeZone zone) {
  absl::Time time;
  for (const char* format :
       {"%Y-%m-%d%ET%H:%M:%E*S%Ez", "%Y-%m-%d%ET%H:%M%Ez", "%Y-%m-%d%ET%H:%M:%E*S",
        "%Y-%m-%d%ET%H:%M", "%Y-%m-%d %H:%M:%E*S", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
    if (absl::ParseTime(format, text, zone, &time, nullptr)) return time;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      option, ": \"", text, "\" is no time; expected one like 2026-11-01T04:00:00Z or 2026-11-01"));
}

absl::Status ParsePeerClass(const std::string& text, ScanSettings& settings) {
  if (text == "all") return absl::OkStatus();
  for (const auto& [name, peer_class] : {std::pair{"external", v1::PEER_CLASS_EXTERNAL},
                                         std::pair{"loopback", v1::PEER_CLASS_LOOPBACK},
                                         std::pair{"excluded", v1::PEER_CLASS_EXCLUDED}}) {
    if (text != name) continue;
    settings.peer_class = peer_class;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--peer-class: \"", text, "\"; expected external, loopback, excluded or all"));
}

}  // namespace

absl::StatusOr<ScanSettings> ParseScanSettings(const ScanOptions& options) {
  ScanSettings settings;
  const bool journal = options.journal || !options.journal_directory.empty();
  if (options.files.empty() && !journal) {
    return absl::InvalidArgumentError("no FILE given; - is standard input");
  }
  if (!journal && !options.journal_units.empty()) {
    return absl::InvalidArgumentError("--journal-unit without --journal or --journal-directory");
  }
  if (options.format != "table" && options.format != "json" && options.format != "csv") {
    return absl::InvalidArgumentError(
        absl::StrCat("--format: \"", options.format, "\"; expected table, json or csv"));
  }
  if (options.time_zone.empty()) {
    settings.time_zone = absl::LocalTimeZone();
  } else if (!absl::LoadTimeZone(options.time_zone, &settings.time_zone)) {
    return absl::InvalidArgumentError(absl::StrCat("--time-zone: \"", options.time_zone,
                                                   "\" is not known; expected one like UTC or "
                                                   "Europe/Amsterdam"));
  }
  absl::Time reference_time = absl::InfiniteFuture();
  for (auto [name, text, time] :
       {std::tuple("--since", &options.since, &settings.since),
        std::tuple("--until", &options.until, &settings.until),
        std::tuple("--reference-time", &options.reference_time, &reference_time)}) {
    if (text->empty()) continue;
    absl::StatusOr<absl::Time> parsed = ParseTime(name, *text, settings.time_zone);
    if (!parsed.ok()) return parsed.status();
    *time = *parsed;
  }
  if (!options.reference_time.empty()) settings.reference_time = reference_time;
  absl::StatusOr<PeerClassifier> peers = PeerClassifier::Create(options.exclude_peers);
  if (!peers.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--exclude-peer: ", peers.status().message()));
  }
  settings.peers = *std::move(peers);
  if (absl::Status status = ParsePeerClass(options.peer_class, settings); !status.ok()) {
    return status;
  }
  return settings;
}

}  // namespace mxtally

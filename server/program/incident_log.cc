#include "server/program/incident_log.h"

#include <spdlog/spdlog.h>

namespace mxtally {
namespace {

constexpr std::chrono::seconds kInterval(60);

spdlog::level::level_enum LevelOf(IncidentLevel level) {
  switch (level) {
    case IncidentLevel::kDebug:
      return spdlog::level::debug;
    case IncidentLevel::kInfo:
      return spdlog::level::info;
    case IncidentLevel::kWarning:
      return spdlog::level::warn;
    case IncidentLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

std::optional<int64_t> IncidentLog::Take(IncidentKind kind) {
  const auto now = now_();
  MutexLock lock(mutex_);
  Limit& limit = limits_.at(static_cast<size_t>(kind));
  if (now < limit.next) {
    ++limit.left_out;
    return std::nullopt;
  }
  limit.next = now + kInterval;
  return std::exchange(limit.left_out, 0);
}

void IncidentLog::Tell(const Incident& incident) {
  const spdlog::level::level_enum level = LevelOf(incident.level);
  if (incident.kind == IncidentKind::kFiles || incident.kind == IncidentKind::kStream) {
    spdlog::log(level, "{}", incident.text);
  } else if (const std::optional<int64_t> left_out = Take(incident.kind)) {
    spdlog::log(level, "{} ({} more since the last line)", incident.text, *left_out);
  }
}

}  // namespace mxtally

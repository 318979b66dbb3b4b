#include "storage/sqlite/tls_logging.h"

#include <algorithm>

namespace mxtally::sqlite {

namespace {

// Of what came in.
TlsShown TlsShownBy(const TlsLines& lines) {
  if (lines.tls_lines > 0) return TlsShown::kAll;
  if (lines.tls_unlogged_sessions > 0) return TlsShown::kNoCiphers;
  return lines.ended_sessions > 0 && lines.counter_lines == 0 ? TlsShown::kNothing : TlsShown::kAll;
}

TlsShown OutboundTlsShownBy(const TlsLines& lines) {
  return lines.outbound_unlogged_sessions > 0 && lines.outbound_tls_lines == 0
             ? TlsShown::kNoOutbound
             : TlsShown::kAll;
}

}  // namespace

void TlsLoggingTable::Change(int64_t host_id, int64_t log_id, int64_t hour, const TlsLines& before,
                             const TlsLines& after) {
  for (const auto shown_by : {TlsShownBy, OutboundTlsShownBy}) {
    const TlsShown was = shown_by(before);
    const TlsShown is = shown_by(after);
    if (was == is) continue;
    if (was != TlsShown::kAll) Remove(host_id, log_id, was, hour);
    if (is != TlsShown::kAll) Add(host_id, log_id, is, hour);
  }
}

void TlsLoggingTable::Add(int64_t host_id, int64_t log_id, TlsShown shown, int64_t hour) {
  const int shows = static_cast<int>(shown);
  int64_t start = hour;
  int64_t end = hour + 1;
  for (select_.Query(host_id, log_id, shows, hour + 1, hour); select_.Step();) {
    start = std::min(start, select_.Int(0));
    end = std::max(end, select_.Int(1));
  }
  for (const int64_t met : {start, hour + 1}) remove_.Run(host_id, log_id, shows, met);
  insert_.Run(host_id, log_id, shows, start, end);
}

void TlsLoggingTable::Remove(int64_t host_id, int64_t log_id, TlsShown shown, int64_t hour) {
  const int shows = static_cast<int>(shown);
  select_.Query(host_id, log_id, shows, hour, hour + 1);
  if (!select_.Step()) return;
  const int64_t start = select_.Int(0);
  const int64_t end = select_.Int(1);
  select_.Reset();
  remove_.Run(host_id, log_id, shows, start);
  if (start < hour) insert_.Run(host_id, log_id, shows, start, hour);
  if (hour + 1 < end) insert_.Run(host_id, log_id, shows, hour + 1, end);
}

}  // namespace mxtally::sqlite

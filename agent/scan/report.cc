#include "agent/scan/report.h"

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace mxtally {
namespace {

std::optional<double> Share(int64_t part, int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

std::string UtcText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E*SZ", time, absl::UTCTimeZone());
}

// --- JSON ---------------------------------------------------------------------------------------

std::string JsonString(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(&quoted, absl::StrFormat("\\u%04x", c));
    } else {
      quoted += c;
    }
  }
  quoted += '"';
  return quoted;
}

// Five places are enough to tell one session in ten thousand.
std::string JsonShare(std::optional<double> share) {
  if (!share) return "null";
  std::string text = absl::StrFormat("%.5f", *share);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string JsonTime(std::optional<absl::Time> time) {
  return time ? JsonString(UtcText(*time)) : "null";
}

// What a row has besides its name.
enum class RowShape { kSessions, kWithTls, kCipher };

std::string JsonRows(std::string_view name_key, RowShape shape,
                     const std::vector<ReportRow>& rows) {
  std::string text = "[";
  for (const ReportRow& row : rows) {
    if (text.size() > 1) text += ',';
    absl::StrAppend(&text, "\n      {", JsonString(name_key), ":", JsonString(row.name));
    if (shape == RowShape::kCipher) {
      absl::StrAppend(&text, ",\"iana\":", row.iana.empty() ? "null" : JsonString(row.iana));
    }
    absl::StrAppend(&text, ",\"sessions\":", row.sessions);
    if (shape == RowShape::kWithTls) absl::StrAppend(&text, ",\"tls_sessions\":", row.tls_sessions);
    text += '}';
  }
  text += ']';
  return text;
}

std::string JsonDirection(const DirectionReport& report) {
  return absl::StrCat(
      "{\"sessions\":", report.sessions, ",\"tls_sessions\":", report.tls_sessions,
      ",\"plaintext_sessions\":", report.plaintext_sessions,
      ",\"failed_handshakes\":", report.failed_handshakes,
      ",\"unknown_sessions\":", report.unknown_sessions,
      ",\n    \"open_sessions\":", report.open_sessions,
      ",\"tls_share\":", JsonShare(Share(report.tls_sessions, report.known_sessions())),
      ",\"messages\":", report.messages, ",\"tls_messages\":", report.tls_messages,
      ",\"message_tls_share\":", JsonShare(Share(report.tls_messages, report.messages_of_known)),
      ",\n    \"protocol_not_logged\":", report.protocol_not_logged,
      ",\"cipher_not_logged\":", report.cipher_not_logged,
      ",\n    \"by_service\":", JsonRows("service", RowShape::kWithTls, report.by_service),
      ",\n    \"by_protocol\":", JsonRows("protocol", RowShape::kSessions, report.by_protocol),
      ",\n    \"by_cipher\":", JsonRows("cipher", RowShape::kCipher, report.by_cipher),
      ",\n    \"by_peer_class\":",
      JsonRows("peer_class", RowShape::kSessions, report.by_peer_class), "}");
}

// --- CSV ----------------------------------------------------------------------------------------

std::string CsvField(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  quoted += '"';
  return quoted;
}

void CsvRows(std::string_view direction, std::string_view measure,
             const std::vector<ReportRow>& rows, int64_t ReportRow::*value, std::ostream& out) {
  for (const ReportRow& row : rows) {
    out << direction << ',' << measure << ',' << CsvField(row.name) << ',' << row.*value << '\n';
  }
}

void CsvShare(std::string_view direction, std::string_view measure, std::optional<double> share,
              std::ostream& out) {
  out << direction << ',' << measure << ",," << (share ? JsonShare(share) : "") << '\n';
}

void CsvDirection(std::string_view direction, const DirectionReport& report, std::ostream& out) {
  const std::pair<std::string_view, int64_t> counts[] = {
      {"sessions", report.sessions},
      {"tls_sessions", report.tls_sessions},
      {"plaintext_sessions", report.plaintext_sessions},
      {"failed_handshakes", report.failed_handshakes},
      {"unknown_sessions", report.unknown_sessions},
      {"open_sessions", report.open_sessions},
      {"messages", report.messages},
      {"tls_messages", report.tls_messages},
      {"protocol_not_logged", report.protocol_not_logged},
      {"cipher_not_logged", report.cipher_not_logged},
  };
  for (const auto& [measure, value] : counts) {
    out << direction << ',' << measure << ",," << value << '\n';
  }
  CsvShare(direction, "tls_share", Share(report.tls_sessions, report.known_sessions()), out);
  CsvShare(direction, "message_tls_share", Share(report.tls_messages, report.messages_of_known),
           out);
  CsvRows(direction, "service_sessions", report.by_service, &ReportRow::sessions, out);
  CsvRows(direction, "service_tls_sessions", report.by_service, &ReportRow::tls_sessions, out);
  CsvRows(direction, "protocol_sessions", report.by_protocol, &ReportRow::sessions, out);
  CsvRows(direction, "cipher_sessions", report.by_cipher, &ReportRow::sessions, out);
  CsvRows(direction, "peer_class_sessions", report.by_peer_class, &ReportRow::sessions, out);
}

std::vector<std::pair<std::string_view, int64_t>> LineCounts(const LineReport& lines) {
  return {{"read", lines.read},
          {"parsed", lines.parsed},
          {"ignored", lines.ignored},
          {"unrecognized", lines.unrecognized},
          {"oversized", lines.oversized},
          {"cut_sessions", lines.cut_sessions},
          {"evicted_sessions", lines.evicted_sessions},
          {"duplicate_sessions", lines.duplicate_sessions}};
}

// --- Table --------------------------------------------------------------------------------------

// "19.25 %", or a dash when there is nothing to divide by.
std::string Percent(int64_t part, int64_t whole) {
  const std::optional<double> share = Share(part, whole);
  return share ? absl::StrFormat("%.2f %%", *share * 100) : "-";
}

void TableRow(std::string_view name, int64_t value, std::string_view note, std::ostream& out) {
  out << absl::StrFormat("  %-20s %12d", std::string(name), value);
  if (!note.empty()) out << "   " << note;
  out << '\n';
}

void TableShares(std::string_view heading, const std::vector<ReportRow>& rows, int64_t whole,
                 std::ostream& out) {
  if (rows.empty()) return;
  out << absl::StrFormat("\n  %-32s %12s %10s\n", std::string(heading), "sessions", "share");
  for (const ReportRow& row : rows) {
    std::string line =
        absl::StrFormat("  %-32s %12d %10s", row.name, row.sessions, Percent(row.sessions, whole));
    if (!row.iana.empty() && row.iana != row.name) line += "   " + row.iana;
    out << line << '\n';
  }
}

void TableServices(const std::vector<ReportRow>& rows, std::ostream& out) {
  if (rows.empty()) return;
  out << absl::StrFormat("\n  %-32s %12s %10s %10s\n", "service", "sessions", "TLS", "share");
  for (const ReportRow& row : rows) {
    out << absl::StrFormat("  %-32s %12d %10d %10s\n", row.name, row.sessions, row.tls_sessions,
                           Percent(row.tls_sessions, row.known_sessions));
  }
}

void TableDirection(std::string_view title, const DirectionReport& report, std::ostream& out) {
  out << title << '\n';
  TableRow("sessions", report.sessions, "", out);
  TableRow("TLS", report.tls_sessions,
           absl::StrCat(Percent(report.tls_sessions, report.known_sessions()), "  (",
                        report.tls_sessions, " of ", report.known_sessions(), ")"),
           out);
  TableRow("plaintext", report.plaintext_sessions, "", out);
  TableRow("failed handshakes", report.failed_handshakes, "", out);
  if (report.unknown_sessions > 0) {
    TableRow("unknown", report.unknown_sessions,
             absl::StrCat("the log does not tell; in no share",
                          report.tls_not_logged ? ": set smtp_tls_loglevel = 1" : ""),
             out);
  }
  if (report.open_sessions > 0) {
    TableRow("still open", report.open_sessions, "at the end of the log; not in sessions", out);
  }
  TableRow("messages", report.messages, "", out);
  TableRow("messages over TLS", report.tls_messages,
           absl::StrCat(Percent(report.tls_messages, report.messages_of_known), "  (",
                        report.tls_messages, " of ", report.messages_of_known, ")"),
           out);

  TableServices(report.by_service, out);
  TableShares("protocol", report.by_protocol, report.tls_sessions, out);
  TableShares("cipher", report.by_cipher, report.tls_sessions, out);
  if (report.cipher_not_logged > 0) {
    if (report.by_cipher.empty()) out << '\n';
    out << absl::StrFormat("  %-32s %12d %10s%s\n", "cipher not logged", report.cipher_not_logged,
                           Percent(report.cipher_not_logged, report.tls_sessions),
                           report.by_cipher.empty() ? "   set smtpd_tls_loglevel = 1" : "");
  }
  if (report.by_peer_class.size() > 1) {
    out << absl::StrFormat("\n  %-32s %12s\n", "peers of all classes", "sessions");
    for (const ReportRow& row : report.by_peer_class) {
      out << absl::StrFormat("  %-32s %12d\n", row.name, row.sessions);
    }
  }
}

void TableWindow(const ScanReport& report, std::ostream& out) {
  if (!report.start || !report.end) {
    out << "No line with a known time stamp.\n";
    return;
  }
  out << "From " << UtcText(*report.start) << " to " << UtcText(*report.end) << ", "
      << (report.peer_class == "all" ? "all" : report.peer_class) << " peers.\n";
}

}  // namespace

void PrintTable(const ScanReport& report, std::ostream& out) {
  TableWindow(report, out);
  out << '\n';
  TableDirection("Inbound", report.inbound, out);
  if (report.outbound.sessions > 0) {
    out << '\n';
    TableDirection("Outbound", report.outbound, out);
  }
  out << "\nLines\n";
  for (const auto& [name, value] : LineCounts(report.lines)) {
    const bool session_count = name.ends_with("_sessions");
    if (!session_count || value > 0) TableRow(name, value, "", out);
  }
}

void PrintJson(const ScanReport& report, std::ostream& out) {
  out << "{\"inbound\":\n   " << JsonDirection(report.inbound) << ",\n \"outbound\":\n   "
      << JsonDirection(report.outbound) << ",\n \"lines\":{";
  bool first = true;
  for (const auto& [name, value] : LineCounts(report.lines)) {
    out << (first ? "" : ",") << JsonString(name) << ':' << value;
    first = false;
  }
  out << "},\n \"window\":{\"start\":" << JsonTime(report.start)
      << ",\"end\":" << JsonTime(report.end) << "}}\n";
}

void PrintCsv(const ScanReport& report, std::ostream& out) {
  out << "direction,measure,label,value\n";
  CsvDirection("inbound", report.inbound, out);
  CsvDirection("outbound", report.outbound, out);
  for (const auto& [name, value] : LineCounts(report.lines)) {
    out << ",lines," << name << ',' << value << '\n';
  }
  out << ",window,start," << (report.start ? UtcText(*report.start) : "") << '\n';
  out << ",window,end," << (report.end ? UtcText(*report.end) : "") << '\n';
}

}  // namespace mxtally

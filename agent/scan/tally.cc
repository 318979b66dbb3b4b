#include "agent/scan/tally.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace mxtally {
namespace {

void SortRows(std::vector<ReportRow>& rows) {
  std::sort(rows.begin(), rows.end(), [](const ReportRow& a, const ReportRow& b) {
    return a.sessions != b.sessions ? a.sessions > b.sessions : a.name < b.name;
  });
}

// "EXTERNAL" of PEER_CLASS_EXTERNAL.
std::string PeerClassName(int peer_class) {
  static constexpr std::string_view kPrefix = "PEER_CLASS_";
  const std::string name = v1::PeerClass_Name(static_cast<v1::PeerClass>(peer_class));
  return name.substr(std::min(kPrefix.size(), name.size()));
}

}  // namespace

void DirectionTally::Add(const Session& session) {
  Service& service = services_[session.service];
  ++service.sessions;
  ++totals_.sessions;
  totals_.messages += session.messages;
  switch (session.tls.state) {
    case v1::TLS_STATE_ESTABLISHED:
      ++service.tls_sessions;
      ++totals_.tls_sessions;
      totals_.tls_messages += session.messages;
      AddTls(session.tls);
      break;
    case v1::TLS_STATE_PLAINTEXT:
      ++totals_.plaintext_sessions;
      break;
    case v1::TLS_STATE_FAILED:
      ++totals_.failed_handshakes;
      break;
    default:
      ++totals_.unknown_sessions;
      return;
  }
  ++service.known_sessions;
  totals_.messages_of_known += session.messages;
}

void DirectionTally::AddTls(const Session::Tls& tls) {
  if (tls.facts == nullptr || tls.facts->protocol.empty()) {
    ++totals_.protocol_not_logged;
  } else {
    ++protocols_[tls.facts->protocol];
  }
  if (tls.facts == nullptr || tls.facts->cipher.empty()) {
    ++totals_.cipher_not_logged;
    return;
  }
  Cipher& cipher = ciphers_[tls.facts->cipher];
  ++cipher.sessions;
  cipher.suite = tls.facts->suite;
}

DirectionReport DirectionTally::Report() const {
  DirectionReport report = totals_;
  for (const auto& [name, service] : services_) {
    report.by_service.push_back({.name = name,
                                 .sessions = service.sessions,
                                 .tls_sessions = service.tls_sessions,
                                 .known_sessions = service.known_sessions});
  }
  for (const auto& [name, sessions] : protocols_) {
    report.by_protocol.push_back({.name = name, .sessions = sessions});
  }
  for (const auto& [peer_class, sessions] : peer_classes_) {
    report.by_peer_class.push_back({.name = PeerClassName(peer_class), .sessions = sessions});
  }

  // One suite may have several names: it gets the most common of them.
  std::vector<std::pair<std::string, Cipher>> spellings(ciphers_.begin(), ciphers_.end());
  std::sort(spellings.begin(), spellings.end(), [](const auto& a, const auto& b) {
    return a.second.sessions != b.second.sessions ? a.second.sessions > b.second.sessions
                                                  : a.first < b.first;
  });
  absl::flat_hash_map<const CipherSuite*, size_t> row_of_suite;
  for (const auto& [name, cipher] : spellings) {
    if (cipher.suite != nullptr) {
      const auto [found, added] = row_of_suite.try_emplace(cipher.suite, report.by_cipher.size());
      if (!added) {
        report.by_cipher[found->second].sessions += cipher.sessions;
        continue;
      }
    }
    const std::string_view iana = cipher.suite != nullptr ? cipher.suite->iana : "";
    report.by_cipher.push_back(
        {.name = name, .iana = std::string(iana), .sessions = cipher.sessions});
  }

  for (auto* rows :
       {&report.by_service, &report.by_protocol, &report.by_cipher, &report.by_peer_class}) {
    SortRows(*rows);
  }
  return report;
}

}  // namespace mxtally

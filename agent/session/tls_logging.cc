#include "agent/session/tls_logging.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "agent/parser/postfix.h"
#include "agent/session/text.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {

std::string_view TlsLoggingTable::ClientName(std::string_view host, std::string_view tag) {
  const std::string_view program = tag.substr(0, tag.rfind('['));
  if (program == program_ && host == host_) return name_;
  program_ = program;
  host_ = host;
  // As it stands in tags of keys: the checkpoint holds it, and nothing but UTF-8.
  std::string visible;
  AppendKeyTag(program, visible);
  name_.assign(host).append(" ").append(ParsePostfixTag(visible).instance);
  const size_t slash = visible.rfind('/');
  name_.append(visible, slash == std::string::npos ? 0 : slash);
  return name_;
}

void TlsLoggingTable::Add(std::string_view host, std::string_view tag, absl::Time time) {
  const std::string_view name = ClientName(host, tag);
  if (const auto known = clients_.find(name); known != clients_.end()) {
    known->second = time;
    return;
  }
  if (static_cast<int>(clients_.size()) >= clients_max_) {
    const auto comes_first = [](const auto& a, const auto& b) {
      return std::tie(a.second, a.first) < std::tie(b.second, b.first);
    };
    clients_.erase(std::min_element(clients_.begin(), clients_.end(), comes_first));
  }
  clients_.emplace(name, time);
}

bool TlsLoggingTable::Shows(std::string_view host, std::string_view tag, absl::Time since) {
  const auto known = clients_.find(ClientName(host, tag));
  return known != clients_.end() && known->second >= since;
}

void TlsLoggingTable::Save(google::protobuf::RepeatedPtrField<agent::v1::TlsLogging>& saved) const {
  saved.Clear();
  std::vector<std::pair<std::string_view, absl::Time>> sorted(clients_.begin(), clients_.end());
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [client, last_time] : sorted) {
    agent::v1::TlsLogging& one = *saved.Add();
    one.set_client(std::string(client));
    SetTimestamp(last_time, *one.mutable_last_time());
  }
}

void TlsLoggingTable::Restore(
    const google::protobuf::RepeatedPtrField<agent::v1::TlsLogging>& saved) {
  for (const agent::v1::TlsLogging& one : saved) {
    clients_.insert_or_assign(one.client(), GetTimestamp(one.last_time()));
  }
}

}  // namespace mxtally

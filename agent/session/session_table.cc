#include "agent/session/session_table.h"

#include <utility>

#include "agent/session/text.h"

namespace mxtally {
namespace {

const PeerClassifier& NothingExcluded() {
  static const PeerClassifier* const classifier = new PeerClassifier;
  return *classifier;
}

}  // namespace

SessionTable::SessionTable(AssemblerOptions given, AssemblerObserver& observer)
    : options(std::move(given)),
      peers(options.peers != nullptr ? *options.peers : NothingExcluded()),
      observer(observer),
      clock(kClockStep, options.idle_max),
      processes(options.ordinal_memory, options.ordinals_max),
      tls_logging(options.tls_clients_max) {
  AppendKeyHost(options.host, own_host);
}

std::string_view MakeKeyHost(SessionTable& table, std::string_view host) {
  table.header_host = host;
  table.key_host.clear();
  // Exim's own files name no host.
  AppendKeyHost(host.empty() ? "localhost" : host, table.key_host);
  return table.key_host;
}

std::string_view IdName(SessionTable& table, std::string_view key_host, std::string_view id) {
  if (!table.own_host.empty()) return id;
  if (table.first_host.empty()) table.first_host = key_host;
  if (table.first_host == key_host) return id;
  table.id_name.assign(key_host).append(" ").append(id);
  return table.id_name;
}

Process* FindProcessByKeyTag(SessionTable& table, const FramedLine& line) {
  if (line.tag.size() <= kKeyTagBytesMax && IsGraphic(line.tag)) return nullptr;
  table.key_tag.clear();
  AppendKeyTag(line.tag, table.key_tag);
  return table.processes.Find({ProcessHost(table, line.host), table.key_tag});
}

Process& FindOrAddProcess(SessionTable& table, const FramedLine& line) {
  table.key_tag.clear();
  AppendKeyTag(line.tag, table.key_tag);
  return table.processes.FindOrAdd({ProcessHost(table, line.host), table.key_tag});
}

}  // namespace mxtally

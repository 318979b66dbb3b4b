#include "server/listener/connection_table.h"

#include <netinet/in.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace mxtally {
namespace {

constexpr size_t kIpv6NetworkBytes = 8;

std::optional<ino_t> InodeOf(int descriptor) {
  struct stat info {};
  if (fstat(descriptor, &info) != 0 || !S_ISSOCK(info.st_mode)) return std::nullopt;
  return info.st_ino;
}

}  // namespace

absl::string_view ConnectionRefusalName(ConnectionRefusal refusal) {
  switch (refusal) {
    case ConnectionRefusal::kAddress:
      return "address";
    case ConnectionRefusal::kDescriptors:
      return "descriptors";
  }
  return "";
}

std::string CountedAddress(const sockaddr_storage& peer) {
  if (peer.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &peer, sizeof(v4));
    return {reinterpret_cast<const char*>(&v4.sin_addr), sizeof(v4.sin_addr)};
  }
  if (peer.ss_family != AF_INET6) return "";
  sockaddr_in6 v6;
  std::memcpy(&v6, &peer, sizeof(v6));
  const char* const bytes = reinterpret_cast<const char*>(&v6.sin6_addr);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return {bytes + 12, 4};
  return {bytes, kIpv6NetworkBytes};
}

std::optional<ConnectionRefusal> ConnectionTable::Add(int descriptor, const std::string& address) {
  const std::optional<ino_t> inode = InodeOf(descriptor);
  const absl::Time now = options_.now();
  MutexLock lock(mutex_);
  if (!inode.has_value() || IsFull(now)) return ConnectionRefusal::kDescriptors;
  Address& entry = addresses_[address];
  if (IsFull(entry, now)) return ConnectionRefusal::kAddress;
  entry.connections.push_back({descriptor, *inode});
  ++size_;
  return std::nullopt;
}

size_t ConnectionTable::CountOpen() {
  MutexLock lock(mutex_);
  LookAtAll();
  return size_;
}

bool ConnectionTable::IsOpen(const Connection& connection) {
  return InodeOf(connection.descriptor) == connection.inode;
}

void ConnectionTable::LookAt(Address& address) {
  std::vector<Connection>& connections = address.connections;
  const auto closed =
      std::remove_if(connections.begin(), connections.end(),
                     [](const Connection& connection) { return !IsOpen(connection); });
  size_ -= static_cast<size_t>(connections.end() - closed);
  connections.erase(closed, connections.end());
}

void ConnectionTable::LookAtAll() {
  for (auto it = addresses_.begin(); it != addresses_.end();) {
    LookAt(it->second);
    if (it->second.connections.empty()) {
      addresses_.erase(it++);
    } else {
      ++it;
    }
  }
}

bool ConnectionTable::IsFull(Address& address, absl::Time now) {
  const auto full = [&] {
    return options_.of_address_max != 0 &&
           address.connections.size() >= static_cast<size_t>(options_.of_address_max);
  };
  if (!full() || now < address.looked + options_.look_interval) return full();
  address.looked = now;
  LookAt(address);
  return full();
}

bool ConnectionTable::IsFull(absl::Time now) {
  const auto full = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return size_ >= static_cast<size_t>(options_.total_max);
  };
  if (!full() || now < looked_at_all_ + options_.look_interval) return full();
  looked_at_all_ = now;
  LookAtAll();
  return full();
}

}  // namespace mxtally

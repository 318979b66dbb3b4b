#include "server/listener/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

// Without descriptors or memory for one more, accepting waits so long.
constexpr absl::Duration kPause = absl::Milliseconds(100);

int DescriptorsMax() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 1 << 16;
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 20));
}

ConnectionTableOptions TableOptions(const ListenerOptions& options) {
  ConnectionTableOptions table;
  table.of_address_max = options.address_connections_max;
  const int descriptors = DescriptorsMax();
  // Where the limit is small, at least half of it.
  table.total_max =
      descriptors - std::min(options.descriptors_reserved, std::max(descriptors / 2, 1));
  return table;
}

std::string Text(const sockaddr_storage& peer) {
  char text[INET6_ADDRSTRLEN] = {};
  if (peer.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&peer)->sin_addr, text, sizeof(text));
  } else if (peer.ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&peer)->sin6_addr, text,
              sizeof(text));
  }
  return text;
}

void SetOption(int socket, int level, int option, int value) {
  setsockopt(socket, level, option, &value, sizeof(value));
}

int PortOf(int socket) {
  sockaddr_storage bound{};
  socklen_t length = sizeof(bound);
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &length) != 0) return 0;
  // Both families have it in the same place.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);
}

// A listening socket; -1, with errno, where there can be none.
int Listen(const addrinfo& address, int port) {
  const int socket =
      ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (socket < 0) return -1;
  SetOption(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  // Accepted connections inherit this: messages are small and must not wait.
  SetOption(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  // "[::]" is all addresses of both families.
  if (address.ai_family == AF_INET6) SetOption(socket, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  sockaddr_storage where{};
  std::memcpy(&where, address.ai_addr, address.ai_addrlen);
  reinterpret_cast<sockaddr_in*>(&where)->sin_port = htons(static_cast<uint16_t>(port));
  if (bind(socket, reinterpret_cast<const sockaddr*>(&where), address.ai_addrlen) == 0 &&
      listen(socket, SOMAXCONN) == 0) {
    return socket;
  }
  const int error = errno;
  close(socket);
  errno = error;
  return -1;
}

}  // namespace

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Bind(const ListenerOptions& options,
                                                         ConnectionObserver& observer) {
  std::unique_ptr<Listener> listener(new Listener(options, observer));
  if (absl::Status status = listener->BindAll(options); !status.ok()) return status;
  return listener;
}

Listener::Listener(const ListenerOptions& options, ConnectionObserver& observer)
    : observer_(observer), table_(TableOptions(options)) {}

Listener::~Listener() {
  Stop();
  if (wake_ >= 0) close(wake_);
}

void Listener::Stop() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    // Cannot fail: the counter is far from full.
    (void)!write(wake_, &one, sizeof(one));
    thread_.join();
  }
  for (const int socket : sockets_) close(socket);
  sockets_.clear();
}

absl::Status Listener::BindAll(const ListenerOptions& options) {
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) return absl::UnavailableError("no descriptor for the listener");
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  getaddrinfo(options.host.c_str(), nullptr, &hints, &found);
  port_ = options.port;
  int error = 0;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const int socket = Listen(*address, port_);
    if (socket < 0) {
      // A name may have addresses of a family that this machine has not.
      if (errno != EADDRNOTAVAIL && errno != EAFNOSUPPORT) error = errno;
      continue;
    }
    sockets_.push_back(socket);
    if (port_ == 0) port_ = PortOf(socket);
  }
  if (found != nullptr) freeaddrinfo(found);
  if (error == 0 && !sockets_.empty()) return absl::OkStatus();
  return absl::UnavailableError("in use, or not an address of this machine");
}

void Listener::Start(std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor) {
  acceptor_ = std::move(acceptor);
  thread_ = std::thread([this] { Accept(); });
}

void Listener::Accept() {
  std::vector<pollfd> waits = {{wake_, POLLIN, 0}};
  for (const int socket : sockets_) waits.push_back({socket, POLLIN, 0});
  while (poll(waits.data(), waits.size(), -1) >= 0 || errno == EINTR) {
    if (waits[0].revents != 0) return;
    for (size_t i = 1; i < waits.size(); ++i) {
      // One at a time, so that the end is seen under load too.
      if (waits[i].revents != 0 && !AcceptOne(waits[i].fd)) {
        poll(waits.data(), 1, static_cast<int>(absl::ToInt64Milliseconds(kPause)));
      }
    }
  }
}

bool Listener::AcceptOne(int socket) {
  sockaddr_storage peer{};
  socklen_t length = sizeof(peer);
  const int connection =
      accept4(socket, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (connection < 0) {
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return true;
    observer_.OnConnectionRefused("", ConnectionRefusal::kDescriptors);
    return false;
  }
  if (const auto refusal = table_.Add(connection, CountedAddress(peer))) {
    close(connection);
    observer_.OnConnectionRefused(Text(peer), *refusal);
    return true;
  }
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
  parameters.listener_fd = socket;
  parameters.fd = connection;
  acceptor_->HandleNewConnection(&parameters);  // Closes it where gRPC has shut down.
  return true;
}

}  // namespace mxtally

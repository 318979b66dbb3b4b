#include "server/serve/listen_address.h"

#include <arpa/inet.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace mxtally {

std::string ListenAddress::ToString() const {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port)
                                      : absl::StrCat(host, ":", port);
}

bool ListenAddress::IsLoopback() const {
  if (absl::EqualsIgnoreCase(host, "localhost")) return true;
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6;
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text) {
  const absl::Status error = absl::InvalidArgumentError(absl::StrCat(
      "expected ADDR:PORT, such as 127.0.0.1:4625 or [::1]:4625, found \"", text, "\""));
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return error;

  absl::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || bracketed != absl::StrContains(host, ':')) return error;
  if (host.find_first_of("[]/") != absl::string_view::npos) return error;

  ListenAddress address{.host = std::string(host), .port = 0};
  if (!absl::SimpleAtoi(text.substr(colon + 1), &address.port) || address.port < 0 ||
      address.port > 0xffff) {
    return error;
  }
  return address;
}

}  // namespace mxtally

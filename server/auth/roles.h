// What each method needs.  Pure.

#ifndef MXTALLY_SERVER_AUTH_ROLES_H_
#define MXTALLY_SERVER_AUTH_ROLES_H_

#include <string>

#include "absl/strings/string_view.h"

namespace mxtally {

enum class Role {
  kNone,       // Needed for what is open to everyone.
  kAgent,      // Sends sessions of its host.
  kCollector,  // Is an agent, and sends sessions of the hosts that it is listed for.
  kReader,     // Asks.
  kOperator,   // Changes, and asks.
};

// "agent", "collector", "reader", "operator"; "none".
absl::string_view RoleName(Role role);

// A set of roles.
class Roles {
 public:
  constexpr Roles() = default;
  constexpr explicit Roles(Role role) : bits_(Bit(role)) {}
  constexpr Roles With(Role role) const {
    Roles both = *this;
    both.bits_ |= Bit(role);
    return both;
  }

  // Everyone has kNone; an operator is a reader too, a collector an agent.
  bool Has(Role role) const;

  // "agent", "agent and reader".
  std::string ToString() const;

 private:
  static constexpr unsigned Bit(Role role) { return 1U << static_cast<unsigned>(role); }

  unsigned bits_ = 0;
};

// The role that a method needs, by its path "/package.Service/Method".  A method
// that is not named here needs an operator, so that a new one is closed until
// somebody opens it.
Role RequiredRole(absl::string_view path);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_AUTH_ROLES_H_

#include "server/auth/roles.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

struct Rule {
  absl::string_view prefix;  // Of the path; a whole service when it ends in "/".
  Role role;
};

// The first that matches decides.
constexpr Rule kRules[] = {
    {"/grpc.health.v1.Health/", Role::kNone},
    {"/grpc.reflection.", Role::kReader},
    {"/mxtally.v1.IngestService/StreamSessions", Role::kAgent},
    {"/mxtally.v1.StatsService/", Role::kReader},
    {"/mxtally.v1.FleetService/List", Role::kReader},
    {"/mxtally.v1.FleetService/Get", Role::kReader},
};

}  // namespace

absl::string_view RoleName(Role role) {
  switch (role) {
    case Role::kNone:
      return "none";
    case Role::kAgent:
      return "agent";
    case Role::kCollector:
      return "collector";
    case Role::kReader:
      return "reader";
    case Role::kOperator:
      return "operator";
  }
  return "?";
}

bool Roles::Has(Role role) const {
  if (role == Role::kNone || (bits_ & Bit(role)) != 0) return true;
  return (role == Role::kReader && (bits_ & Bit(Role::kOperator)) != 0) ||
         (role == Role::kAgent && (bits_ & Bit(Role::kCollector)) != 0);
}

std::string Roles::ToString() const {
  std::string text;
  for (const Role role : {Role::kAgent, Role::kCollector, Role::kReader, Role::kOperator}) {
    if ((bits_ & Bit(role)) == 0) continue;
    absl::StrAppend(&text, text.empty() ? "" : " and ", RoleName(role));
  }
  return text.empty() ? "none" : text;
}

Role RequiredRole(absl::string_view path) {
  for (const Rule& rule : kRules) {
    if (absl::StartsWith(path, rule.prefix)) return rule.role;
  }
  return Role::kOperator;
}

}  // namespace mxtally

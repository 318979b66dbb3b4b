// Which host a header's name means, in a log of many hosts.
//
// Some daemons write the name in full and some without the domain.  A name is
// the host that is listed by it; else the only one that is listed by the same
// name with, or without, a domain; else itself, where a pattern permits it.
// Const methods from any thread.

#ifndef MXTALLY_AGENT_PIPELINE_HOST_NAMES_H_
#define MXTALLY_AGENT_PIPELINE_HOST_NAMES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "agent/session/name_hash.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

class HostNames {
 public:
  // `own`: the agent's host, which needs no permission.
  HostNames(std::string own, const v1::Collecting& collecting);

  // The host of keys, as they have it; empty: none that may be sent.
  std::string Find(std::string_view header_host) const;

  const std::string& own() const { return own_; }

 private:
  bool MatchesPattern(std::string_view name) const;

  const std::string own_;
  absl::flat_hash_set<std::string, NameHash, NameEqual> names_;
  // Of names with a domain: by what is before it.
  absl::flat_hash_map<std::string, std::vector<std::string>, NameHash, NameEqual> by_label_;
  // ".example.net"; "": all.
  absl::flat_hash_set<std::string, NameHash, NameEqual> patterns_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PIPELINE_HOST_NAMES_H_

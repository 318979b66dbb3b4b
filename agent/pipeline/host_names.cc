#include "agent/pipeline/host_names.h"

#include <utility>

#include "agent/session/text.h"

namespace mxtally {

HostNames::HostNames(std::string own, const v1::Collecting& collecting) : own_(std::move(own)) {
  const auto add = [this](const std::string& name) {
    if (!names_.insert(name).second) return;
    const size_t dot = name.find('.');
    if (dot != std::string::npos) by_label_[name.substr(0, dot)].push_back(name);
  };
  add(own_);
  for (const std::string& host : collecting.hosts()) {
    if (host.starts_with('*')) {
      patterns_.insert(host.substr(1));
    } else {
      add(host);
    }
  }
}

std::string HostNames::Find(std::string_view header_host) const {
  std::string name;
  AppendKeyHost(header_host, name);
  if (names_.contains(name)) return name;
  const size_t dot = name.find('.');
  if (dot != std::string::npos) {
    std::string label = name.substr(0, dot);
    if (names_.contains(label)) return label;
  } else if (const auto found = by_label_.find(name);
             found != by_label_.end() && found->second.size() == 1) {
    return found->second.front();
  }
  return MatchesPattern(name) ? name : std::string();
}

bool HostNames::MatchesPattern(std::string_view name) const {
  if (name.empty()) return false;
  if (patterns_.contains("")) return true;
  for (size_t dot = name.find('.', 1); dot != std::string_view::npos;
       dot = name.find('.', dot + 1)) {
    if (patterns_.contains(name.substr(dot))) return true;
  }
  return false;
}

}  // namespace mxtally

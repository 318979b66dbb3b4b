#include "storage/sqlite/identities.h"

namespace mxtally::sqlite {

namespace {

// Beyond these the memory starts anew; a lookup is cheap.
constexpr size_t kHostsMax = 100'000;
constexpr size_t kLabelSetsMax = 50'000;

template <typename Map>
void Bound(Map& map, size_t entries_max) {
  if (map.size() >= entries_max) map.clear();
}

}  // namespace

int64_t HostIds::Intern(const std::string& name, absl::Time now) {
  if (auto it = ids_.find(name); it != ids_.end()) return it->second;
  int64_t id = 0;
  select_.Query(name);
  if (select_.Step()) {
    id = select_.Int(0);
    select_.Reset();
  } else {
    insert_.Run(name, absl::ToUnixNanos(now));
    id = db_.last_insert_rowid();
    expect_.Run(id, absl::ToUnixNanos(now));
  }
  if (!db_.ok()) return 0;
  Bound(ids_, kHostsMax);
  ids_.emplace(name, id);
  return id;
}

std::optional<LabelSetIds> LabelSetTable::Find(const Labels& labels) {
  if (auto it = ids_.find(labels); it != ids_.end()) return it->second;
  const Labels& l = labels;
  select_.Query(l.direction, l.service, l.peer_class, l.tls_state, l.evidence, l.protocol, l.cipher,
                l.cipher_iana, l.cipher_code_point, l.kex_group, l.signature, l.trust, l.handshake);
  if (!select_.Step()) return std::nullopt;
  const LabelSetIds ids = {.full = select_.Int(0), .narrow = select_.Int(1)};
  select_.Reset();
  Bound(ids_, kLabelSetsMax);
  ids_.emplace(labels, ids);
  return ids;
}

LabelSetIds LabelSetTable::Intern(const Labels& labels) {
  if (std::optional<LabelSetIds> found = Find(labels)) return *found;
  LabelSetIds ids;
  const Labels narrow = Projected(labels, NarrowLabels());
  if (narrow == labels) {
    ids.full = ids.narrow = Insert(labels, 0);
    set_own_narrow_.Run(ids.narrow);
  } else {
    ids.narrow = Intern(narrow).full;
    ids.full = Insert(labels, ids.narrow);
  }
  if (!db_.ok()) return {};
  Bound(ids_, kLabelSetsMax);
  ids_.emplace(labels, ids);
  return ids;
}

int64_t LabelSetTable::size() {
  if (!size_) {
    count_.Query();
    size_ = count_.Step() ? count_.Int(0) : 0;
    count_.Reset();
  }
  return *size_;
}

void LabelSetTable::Forget() {
  ids_.clear();
  size_.reset();
}

int64_t LabelSetTable::Insert(const Labels& labels, int64_t narrow) {
  const Labels& l = labels;
  insert_.Run(l.direction, l.service, l.peer_class, l.tls_state, l.evidence, l.protocol, l.cipher,
              l.cipher_iana, l.cipher_code_point, l.kex_group, l.signature, l.trust, l.handshake,
              narrow);
  if (size_) ++*size_;
  return db_.last_insert_rowid();
}

}  // namespace mxtally::sqlite

// What the router knows of one container: its records, decoded, and their changes.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"
#include "lib/base/strings.h"
#include "lib/router/core.h"
#include "xxhash.h"

namespace fastcontainer {

namespace {

uint64_t HashOf(const std::optional<Record>& record) {
  return !record ? 0 : XXH3_64bits(record->value.data(), record->value.size());
}

}  // namespace

Container& Router::Core::Find(std::string_view id) {
  auto found = containers_.find(Sv(id));
  if (found == containers_.end()) {
    auto c = container_pool_.New();
    c->id = std::string(id);
    c->hash = XXH3_64bits(id.data(), id.size());
    ages_.push_back(c.get());
    found = containers_.emplace(c->id, std::move(c)).first;
    ArmIdle();
  }
  return *found->second;
}

bool Router::Core::Load(Container& c) {
  if (!c.known || c.placement_revision == 0) {
    Directory::ContainerRecords records;
    Directory::Answer answer = directory_->FindContainer(c.id, &records);
    if (answer == Directory::Answer::kFound && !directory_->HostsLoaded())
      answer = Directory::Answer::kLoading;
    switch (answer) {
      case Directory::Answer::kLoading:
        loading_.insert(&c);
        return false;
      case Directory::Answer::kUnavailable:
        loading_.erase(&c);
        FailAll(c, {RouteCode::kCmdb, "the CMDB does not answer", kSecond});
        return false;
      case Directory::Answer::kFound:
      case Directory::Answer::kAbsent:
        loading_.erase(&c);
        ReadRecords(c, records);
        break;
    }
  }
  if (c.spec_revision == 0) {
    const bool bad = !c.bad_spec.empty();
    FailAll(c, {bad ? RouteCode::kStartFailed : RouteCode::kUnknownKey,
                bad ? c.bad_spec : absl::StrCat("container ", c.id, " has no spec"), bad ? kSecond : 0});
    return false;
  }
  return true;
}

void Router::Core::ReadRecords(Container& c, const Directory::ContainerRecords& records) {
  if (!std::exchange(c.known, true)) c.loaded = reactor_.Now();
  const uint64_t spec_revision = records.spec ? records.spec->revision : 0;
  const uint64_t class_revision = records.spec_class ? records.spec_class->revision : 0;
  const uint64_t spec_hash = HashOf(records.spec) * 31 + HashOf(records.spec_class);
  if (spec_revision != c.spec_revision || class_revision != c.class_revision || spec_hash != c.spec_hash) {
    if (spec_revision == 0) {
      c.spec_revision = 0;
      c.bad_spec.clear();
    } else {
      absl::StatusOr<Spec> spec = DecodeSpec(
          records.spec->value, records.spec_class ? std::string_view(records.spec_class->value) : "");
      if (spec.ok()) {
        c.spec = *std::move(spec);
        c.spec_revision = spec_revision;
        c.class_revision = class_revision;
        c.spec_hash = spec_hash;
        c.bad_spec.clear();
        c.failed_until = 0;
      } else {
        // The last good spec stays in force: a rubbish record takes no route away.
        c.bad_spec = std::string(spec.status().message());
        Log(LogLevel::kError, absl::StrCat("spec of ", c.id, ": ", c.bad_spec));
      }
    }
  }
  if (!records.placement) {
    if (c.placement_revision == 0) return;
    // Placements are not deleted: the store went back to before it, or somebody took it by hand.
    c.placement = Placement();
    c.placement_revision = 0;
    return PlaceAt(c, nullptr);
  }
  const uint64_t placement_hash = HashOf(records.placement);
  if (records.placement->revision == c.placement_revision && placement_hash == c.placement_hash) return;
  absl::StatusOr<Placement> placement = DecodePlacement(records.placement->value);
  if (!placement.ok()) {
    Log(LogLevel::kError,
        absl::StrCat("placement of ", c.id, ": ", std::string(placement.status().message())));
    return;
  }
  c.placement = *std::move(placement);
  c.placement_revision = records.placement->revision;
  c.placement_hash = placement_hash;
  const Replica* replica = c.placement.Find(0);
  if (replica != nullptr) c.highest_epoch = std::max(c.highest_epoch, replica->epoch);
  if (c.placement.deleted) replica = nullptr;
  c.epoch = replica != nullptr ? replica->epoch : c.epoch;
  HostState* host = nullptr;
  if (replica != nullptr) {
    host = hosts_.Find(replica->host);
    if (host == nullptr) host = &hosts_.Update(replica->host, nullptr);
  }
  c.full.clear();
  PlaceAt(c, host);
}

void Router::Core::PlaceAt(Container& c, HostState* host) {
  if (host == c.host) return;
  if (c.ask.request != 0) EndAsk(c);
  DropLease(c, /*release=*/true);
  SetHost(c, host);
  c.suspect = false;
}

void Router::Core::SetHost(Container& c, HostState* host) {
  if (c.host == host) return;
  if (c.host != nullptr) {
    --c.host->used_by;
    on_host_[c.host].erase(&c);
  }
  c.host = host;
  if (host != nullptr) {
    ++host->used_by;
    on_host_[host].insert(&c);
  }
}

void Router::Core::OnKey(std::string_view key, std::string_view container) {
  if (keys_.Find(key) == nullptr) return;
  if (container.empty()) {
    keys_.Erase(key);
  } else {
    keys_.Bind(key, &Find(container));
  }
}

void Router::Core::OnHost(std::string_view id, const Host* record) {
  HostState& host = hosts_.Update(id, record);
  // Those that found no host, or wait for this one, look again.
  const std::vector<Container*> loading(loading_.begin(), loading_.end());
  for (Container* c : loading) Pump(*c);
  if (record != nullptr && record->admin != AdminState::kDown) return;
  const auto found = on_host_.find(&host);
  if (found == on_host_.end()) return;
  const std::vector<Container*> here(found->second.begin(), found->second.end());
  for (Container* c : here) Pump(*c);
}

void Router::Core::OnContainer(std::string_view container) {
  const auto found = containers_.find(Sv(container));
  if (found == containers_.end()) return;
  Container& c = *found->second;
  Directory::ContainerRecords records;
  const Directory::Answer answer = directory_->FindContainer(c.id, &records);
  if (answer != Directory::Answer::kFound && answer != Directory::Answer::kAbsent) return;
  ReadRecords(c, records);
  Pump(c);
}

void Router::Core::OnClass(std::string_view class_name) {
  for (auto& [id, c] : containers_)
    if (c->known && c->spec.class_name == class_name) c->known = false;
}

void Router::Core::OnProgress() {
  const std::vector<Waiter*> resolving = resolving_;
  for (Waiter* w : resolving) ResolveKey(*w);
  const std::vector<Container*> loading(loading_.begin(), loading_.end());
  for (Container* c : loading) Pump(*c);
}

void Router::Core::Reread(Container& c) {
  if (std::exchange(c.reading, true)) return;
  cmdb_.Get(RecordKey(RecordKind::kPlacement, c.id), ReadMode::kLinearizable,
            [this, &c](absl::StatusOr<Record> record) {
              c.reading = false;
              if (record.ok() && record->revision != 0) directory_->Feed(*record);
              Pump(c);
            });
}

}  // namespace fastcontainer

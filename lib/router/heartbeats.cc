// Admission by heartbeat: a host that is silent counts as gone when the lease that its dispatcher holds in
// the CMDB has ended. Slower than other routers' word, and right also where all of them are cut off from the
// host.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"
#include "lib/router/core.h"

namespace fastcontainer {
namespace {

constexpr Nanos kLookEvery = 250 * kMillisecond;
// That a heartbeat is absent is good for so long: a dispatcher that is back gets a new one, and is heard.
constexpr Nanos kAbsenceHolds = 200 * kMillisecond;

}  // namespace

void Router::Core::ProbeLeases() {
  if (options_.admit_by != AdmitBy::kHeartbeat || options_.paper) return;
  // Where nothing can have a heartbeat none can be missed. Drivers know that without asking their store.
  heartbeats_.probe = cmdb_.GrantLease(kSecond, [this](absl::StatusOr<CmdbLease> lease) {
    heartbeats_.probe = 0;
    if (lease.ok()) {
      heartbeats_.probe =
          cmdb_.RevokeLease(lease->id, [this](const absl::StatusOr<CmdbLease>&) { heartbeats_.probe = 0; });
    }
    heartbeats_.unsupported = absl::IsUnimplemented(lease.status());
    if (heartbeats_.unsupported)
      Log(LogLevel::kError, "admission by heartbeat needs a CMDB with leases: nothing is relocated");
  });
}

Router::Core::Admission Router::Core::HeartbeatGone(Container& c) {
  if (options_.admit_by != AdmitBy::kHeartbeat || options_.paper) return Admission::kYes;
  if (heartbeats_.unsupported) return Admission::kNo;
  std::unique_ptr<HeartbeatLook>& made = heartbeats_.of[c.relocation->from];
  if (made == nullptr) made = std::make_unique<HeartbeatLook>();
  HeartbeatLook& look = *made;
  c.relocation->awaits_heartbeat = !look.absent || reactor_.Now() - look.absent_at >= kAbsenceHolds;
  if (!c.relocation->awaits_heartbeat) return Admission::kYes;
  if (look.read == 0 && look.timer == 0) LookForHeartbeat(*c.relocation->from);
  return Admission::kWait;
}

void Router::Core::LookForHeartbeat(HostState& host) {
  HeartbeatLook& look = *heartbeats_.of[&host];
  look.absent = false;
  look.read = cmdb_.Get(RecordKey(RecordKind::kHeartbeat, host.id), ReadMode::kLinearizable,
                        [this, &host, &look](const absl::StatusOr<Record>& record) {
                          look.read = 0;
                          look.absent = record.ok() && record->revision == 0;
                          look.absent_at = reactor_.Now();
                          if (look.absent) return AdmitWaiting();
                          const auto spread = static_cast<Nanos>(random_() % (kLookEvery / 4));
                          look.timer = reactor_.After(kLookEvery + spread, [this, &host, &look] {
                            look.timer = 0;
                            StillBeating(host);
                          });
                        });
}

// The host may be back, and those who waited may have given up.
void Router::Core::StillBeating(HostState& host) {
  bool awaited = false;
  const std::vector<Container*> waiting(relocating_.begin(), relocating_.end());
  for (Container* c : waiting) {
    if (!AwaitsHeartbeat(*c, host)) continue;
    if (!c->Wanted()) {
      EndRelocation(*c, false, HeldUp(*c));
    } else {
      awaited = true;
    }
  }
  if (!awaited) return;
  LookForHeartbeat(host);
  hosts_.Check(host, hosts_.default_probe(), /*ask_dispatcher=*/true);
}

bool Router::Core::AwaitsHeartbeat(const Container& c, const HostState& host) const {
  return c.relocation != nullptr && c.relocation->awaits_heartbeat && c.relocation->from == &host;
}

RouteError Router::Core::HeldUp(const Container& c) const {
  return {RouteCode::kNoHost,
          heartbeats_.unsupported ? "admission by heartbeat needs a CMDB with leases: nothing is relocated"
                                  : absl::StrCat("host ", c.relocation->from->id, " does not answer for ",
                                                 c.id, ", and its heartbeat is still in the CMDB"),
          kSecond};
}

void Router::Core::HostIsBack(HostState& host) {
  const auto found = heartbeats_.of.find(&host);
  // A machine that answers is not its dispatcher, whose heartbeat it is.
  if (found == heartbeats_.of.end() || host.service_down) return;
  found->second->absent = false;
  const std::vector<Container*> waiting(relocating_.begin(), relocating_.end());
  for (Container* c : waiting)
    if (AwaitsHeartbeat(*c, host))
      EndRelocation(*c, false,
                    {RouteCode::kConflict, absl::StrCat("host ", host.id, " answers after all"), 0});
}

void Router::Core::ForgetHeartbeats() {
  cmdb_.Cancel(heartbeats_.probe);
  for (const auto& [host, look] : heartbeats_.of) {
    cmdb_.Cancel(look->read);
    reactor_.CancelTimer(look->timer);
  }
}

}  // namespace fastcontainer

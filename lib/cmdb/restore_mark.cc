#include "lib/cmdb/restore_mark.h"

#include <utility>

namespace fastcontainer {
namespace {

constexpr Nanos kInterval = 10 * kSecond;
constexpr Nanos kRetry = 1 * kSecond;

}  // namespace

RestoreMark::RestoreMark(Cmdb& cmdb, Reactor& reactor, std::function<void()> restored, uint64_t seed)
    : cmdb_(cmdb),
      reactor_(reactor),
      restored_(std::move(restored)),
      random_(static_cast<std::minstd_rand::result_type>(seed)) {
  timer_ = reactor_.After(0, [this] { Look(); });
}

RestoreMark::~RestoreMark() {
  if (list_ != 0) cmdb_.Cancel(list_);
  if (watch_ != 0) cmdb_.Cancel(watch_);
  reactor_.CancelTimer(timer_);
}

// A listing of one record tells its value and the revision to watch from.
void RestoreMark::Look() {
  reactor_.CancelTimer(std::exchange(timer_, 0));
  if (list_ != 0) {
    again_ = true;
    return;
  }
  again_ = false;
  list_ = cmdb_.List(kRestoredKey, "", 0, 1, [this](const absl::StatusOr<ListPage>& page) { Looked(page); });
}

void RestoreMark::Looked(const absl::StatusOr<ListPage>& page) {
  list_ = 0;
  LookIn(again_ ? 0 : page.ok() ? kInterval : kRetry);
  if (!page.ok()) return;
  const bool present = !page->records.empty() && page->records[0].key == kRestoredKey;
  std::string value = present ? page->records[0].value : "";
  const bool another = known_ && value != value_;
  known_ = true;
  revision_ = present ? page->records[0].revision : 0;
  value_ = std::move(value);
  if (another && watch_ != 0) cmdb_.Cancel(std::exchange(watch_, 0));
  if (watch_ == 0)
    watch_ = cmdb_.Watch(kRestoredKey, page->revision, [this](const WatchEvent& event) { Event(event); });
  if (another) restored_();
}

void RestoreMark::Event(const WatchEvent& event) {
  switch (event.kind) {
    case WatchEvent::Kind::kResync:
      cmdb_.Cancel(std::exchange(watch_, 0));
      return Look();
    case WatchEvent::Kind::kPut:
    case WatchEvent::Kind::kDelete:
    case WatchEvent::Kind::kConnected:
      return Look();
    case WatchEvent::Kind::kProgress:
    case WatchEvent::Kind::kDisconnected:
      return;
  }
}

// Give or take a quarter, so that processes do not ask in step.
void RestoreMark::LookIn(Nanos delay) {
  const Nanos spread = delay / 2;
  const Nanos jitter = spread == 0 ? 0 : static_cast<Nanos>(random_()) % spread - spread / 2;
  reactor_.CancelTimer(timer_);
  timer_ = reactor_.After(delay + jitter, [this] { Look(); });
}

}  // namespace fastcontainer

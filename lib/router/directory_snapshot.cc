// The snapshot of the directory: written every now and then and at the end, read at the start.
#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/router/directory.h"

namespace fastcontainer {
namespace {

constexpr size_t kRecordsAtOnce = 128;
constexpr Nanos kPause = 1 * kMillisecond;
// More is not taken from the directory while the disk is behind.
constexpr size_t kMostQueued = size_t{8} << 20;

}  // namespace

Directory::~Directory() {
  reactor_.CancelTimer(snapshot_timer_);
  if (!options_.snapshot.empty()) SaveNow();
}

void Directory::Restore() {
  if (options_.snapshot.empty()) return;
  ArmSnapshot();
  absl::StatusOr<SnapshotReader> reader = SnapshotReader::Open(options_.snapshot, options_.seal);
  if (!reader.ok()) {
    const bool none = absl::IsNotFound(reader.status());
    Log(none ? LogLevel::kInfo : LogLevel::kWarning,
        absl::StrCat("snapshot ", options_.snapshot,
                     " is not used, the cache is empty: ", std::string(reader.status().message())));
    return;
  }
  snapshot_.emplace(*std::move(reader));
  for (std::string& prefix : snapshot_->Prefixes()) unopened_.insert(std::move(prefix));
  Log(LogLevel::kInfo, absl::StrCat("snapshot ", options_.snapshot, " has ", unopened_.size(),
                                    " parts, which hold until the CMDB is read"));
  SeedFromSnapshot(*classes_);
  SeedFromSnapshot(*hosts_);
}

void Directory::SeedFromSnapshot(Mirror& mirror) {
  if (!snapshot_ || unopened_.erase(mirror.prefix()) == 0) return;
  const absl::StatusOr<SnapshotReader::Contents> part = snapshot_->Read(mirror.prefix());
  if (!part.ok()) {
    Log(LogLevel::kWarning, absl::StrCat("snapshot ", options_.snapshot, ", ", mirror.prefix(), ": ",
                                         std::string(part.status().message())));
  } else {
    // A clock that was set back makes it no younger than new.
    // Who has this mirror opened is still in the midst of a question.
    const bool outer = std::exchange(quiet_, &mirror != hosts_.get());
    mirror.Seed(part->records, std::max<Nanos>(reactor_.WallNow() - part->current_at, 0));
    quiet_ = outer;
  }
  if (unopened_.empty() && saving_ == nullptr) snapshot_.reset();
}

void Directory::ArmSnapshot() {
  std::minstd_rand random(static_cast<uint32_t>(++seed_));
  const auto half = static_cast<uint64_t>(options_.snapshot_every / 2);
  const auto jitter = static_cast<Nanos>(random() % (half / kMillisecond + 1)) * kMillisecond;
  snapshot_timer_ = reactor_.After(static_cast<Nanos>(half) + jitter, [this] {
    snapshot_timer_ = 0;
    BeginSnapshot();
  });
}

void Directory::BeginSnapshot() {
  auto saving = std::make_unique<Saving>(
      Saving{{}, {unopened_.begin(), unopened_.end()}, {}, {}, SnapshotEncoder(options_.seal), nullptr});
  ForEachMirror([&](const Mirror& mirror) {
    if (mirror.state() != Mirror::State::kLoading) saving->mirrors.push_back(&mirror);
  });
  // Nothing is known: what the file has is better.
  if (saving->mirrors.empty()) return ArmSnapshot();
  saving->writer = std::make_unique<SnapshotWriter>(
      options_.snapshot, [self = std::weak_ptr<Directory*>(self_), &reactor = reactor_](absl::Status status) {
        if (self.expired()) return;
        reactor.Post([self, status = std::move(status)] {
          if (const auto directory = self.lock()) (*directory)->EndSnapshot(status);
        });
      });
  saving->writer->Add(saving->encoder.Header());
  saving_ = std::move(saving);
  SaveSome();
}

void Directory::SaveSome() {
  snapshot_timer_ = 0;
  if (saving_->writer->queued() < kMostQueued && !SavePiece(kRecordsAtOnce)) {
    saving_->writer->Finish();
    return;
  }
  snapshot_timer_ = reactor_.After(kPause, [this] { SaveSome(); });
}

// False: that was all.
bool Directory::SavePiece(size_t records) {
  Saving& s = *saving_;
  if (!s.mirrors.empty()) {
    const Mirror& mirror = *s.mirrors.back();
    if (!s.part) s.part.emplace(mirror.prefix(), reactor_.WallNow() - mirror.age());
    s.after = mirror.records().ForSome(s.after, records, [&](const Record& record) { s.part->Add(record); });
    if (!s.after.empty()) return true;
    s.writer->Add(s.encoder.Part(s.part->body()));
    s.part.reset();
    s.mirrors.pop_back();
    return true;
  }
  if (!s.unopened.empty()) {
    const absl::StatusOr<std::string> body = snapshot_->Body(s.unopened.back());
    if (body.ok()) s.writer->Add(s.encoder.Part(*body));
    s.unopened.pop_back();
    return true;
  }
  s.writer->Add(s.encoder.End());
  return false;
}

void Directory::EndSnapshot(const absl::Status& status) {
  saving_ = nullptr;
  if (unopened_.empty()) snapshot_.reset();
  ++(status.ok() ? saved_ : not_saved_);
  if (!status.ok())
    Log(LogLevel::kError,
        absl::StrCat("snapshot ", options_.snapshot, " was not written: ", std::string(status.message())));
  ArmSnapshot();
}

void Directory::SaveNow() {
  saving_ = nullptr;
  absl::Status result;
  auto saving = std::make_unique<Saving>(
      Saving{{}, {unopened_.begin(), unopened_.end()}, {}, {}, SnapshotEncoder(options_.seal), nullptr});
  ForEachMirror([&](const Mirror& mirror) {
    if (mirror.state() != Mirror::State::kLoading) saving->mirrors.push_back(&mirror);
  });
  if (saving->mirrors.empty()) return;
  saving->writer = std::make_unique<SnapshotWriter>(
      options_.snapshot, [&result](absl::Status status) { result = std::move(status); });
  saving->writer->Add(saving->encoder.Header());
  saving_ = std::move(saving);
  while (SavePiece(kRecordsAtOnce)) {
  }
  saving_->writer->Finish();
  saving_ = nullptr;  // waits for its end
  if (!result.ok())
    Log(LogLevel::kError,
        absl::StrCat("snapshot ", options_.snapshot, " was not written: ", std::string(result.message())));
}

}  // namespace fastcontainer

// What the tests of the CMDB drivers share: a loop, a folder, and operations that wait for their answer.
#ifndef FASTCONTAINER_TESTS_UNIT_CMDB_CMDB_FIXTURE_H_
#define FASTCONTAINER_TESTS_UNIT_CMDB_CMDB_FIXTURE_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fastcontainer/cmdb.h"
#include "lib/base/epoll_reactor.h"

namespace fastcontainer {

inline constexpr Nanos kPatience = 60 * kSecond;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fastcontainer.XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string File(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

// Runs the loop until `done()`; false if it took longer than anybody should wait.
template <typename Predicate>
bool RunLoop(EpollReactor& reactor, Predicate done) {
  const Nanos end = reactor.Now() + kPatience;
  while (!done()) {
    if (reactor.Now() > end) return false;
    reactor.Wait(end);
    reactor.Process(0);
  }
  return true;
}

inline Mutation Put(std::string_view key, std::string_view value) {
  return {Mutation::Kind::kPut, std::string(key), std::string(value)};
}
inline Mutation Delete(std::string_view key) { return {Mutation::Kind::kDelete, std::string(key), ""}; }

inline absl::StatusOr<Record> GetNow(EpollReactor& reactor, Cmdb& cmdb, std::string_view key) {
  std::optional<absl::StatusOr<Record>> result;
  cmdb.Get(key, ReadMode::kLinearizable, [&](absl::StatusOr<Record> r) { result = std::move(r); });
  if (!RunLoop(reactor, [&] { return result.has_value(); })) return absl::DeadlineExceededError("no answer");
  return *std::move(result);
}

inline absl::StatusOr<ListPage> ListNow(EpollReactor& reactor, Cmdb& cmdb, std::string_view prefix,
                                        std::string_view after = "", uint64_t revision = 0,
                                        uint32_t limit = 0) {
  std::optional<absl::StatusOr<ListPage>> result;
  cmdb.List(prefix, after, revision, limit, [&](absl::StatusOr<ListPage> r) { result = std::move(r); });
  if (!RunLoop(reactor, [&] { return result.has_value(); })) return absl::DeadlineExceededError("no answer");
  return *std::move(result);
}

inline TxnResult TxnNow(EpollReactor& reactor, Cmdb& cmdb, std::vector<Compare> compares,
                        std::vector<Mutation> mutations) {
  std::optional<TxnResult> result;
  cmdb.Txn(std::move(compares), std::move(mutations), reactor.Now() + kPatience,
           [&](TxnResult r) { result = std::move(r); });
  if (!RunLoop(reactor, [&] { return result.has_value(); })) return TxnResult();
  return *std::move(result);
}

// The events of a watch, as "+key=value@revision", "-key@revision", "resync", "disconnected", "connected".
class EventLog {
 public:
  // Revisions are told less `base`.
  explicit EventLog(uint64_t base = 0) : base_(base) {}
  Cmdb::WatchCallback Callback() {
    return [this](const WatchEvent& event) { Add(event); };
  }
  const std::vector<std::string>& lines() const { return lines_; }
  size_t size() const { return lines_.size(); }
  uint64_t progress() const { return progress_; }

 private:
  void Add(const WatchEvent& event) {
    const std::string at = "@" + std::to_string(event.record.revision - base_);
    switch (event.kind) {
      case WatchEvent::Kind::kPut:
        lines_.push_back("+" + event.record.key + "=" + event.record.value + at);
        break;
      case WatchEvent::Kind::kDelete:
        lines_.push_back("-" + event.record.key + at);
        break;
      case WatchEvent::Kind::kProgress:
        progress_ = event.revision - base_;
        break;
      case WatchEvent::Kind::kResync:
        lines_.push_back("resync");
        break;
      case WatchEvent::Kind::kDisconnected:
        lines_.push_back("disconnected");
        break;
      case WatchEvent::Kind::kConnected:
        lines_.push_back("connected");
        break;
    }
  }

  const uint64_t base_;
  std::vector<std::string> lines_;
  uint64_t progress_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_CMDB_CMDB_FIXTURE_H_

// A copy of everything under one prefix of the CMDB, kept current by a watch: what the router's and the
// dispatcher's caches are made of.
#ifndef FASTCONTAINER_LIB_CMDB_MIRROR_H_
#define FASTCONTAINER_LIB_CMDB_MIRROR_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "fastcontainer/cmdb.h"
#include "lib/cmdb/record_table.h"

namespace fastcontainer {

// Lists at revision R, watches from R + 1, and applies only what is newer than what it has. An error or a
// disconnect never removes an entry: only a deletion that the store told, or a complete listing without it,
// does. Belongs to the loop's thread; the Cmdb and the Reactor must outlive it. May be destroyed in its own
// callbacks.
class Mirror {
 public:
  enum class State : uint8_t {
    kLoading,        // nothing is known yet
    kLastKnownGood,  // seeded, and the store has not been reached since
    kFresh,          // listed, and the watch is connected
    kStale,          // listed, and the watch is not connected; serves what it has
  };
  // Called after the change, with the mirror in its new state.
  struct Observer {
    // A deleted record has its key and the revision of the deletion.
    absl::AnyInvocable<void(const Record& record, bool deleted)> on_change;
    absl::AnyInvocable<void(State state)> on_state;
    // Whether a record may take the place of `had`, which is not `record`; null: any may. What it refuses is
    // as if the store had not changed it: rubbish takes nothing away.
    absl::AnyInvocable<bool(const Record& record, const Record& had)> accepts;
  };
  using WaitId = uint64_t;  // 0 names no wait

  // Starts to load in the loop's next round. `seed` makes the jitter of retries and of the resync that runs
  // each 10 minutes. Mirrors may share their strings.
  Mirror(Cmdb& cmdb, Reactor& reactor, std::string prefix, Observer observer, uint64_t seed = 1,
         std::shared_ptr<StringTable> strings = std::make_shared<StringTable>());
  ~Mirror();
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  // What a snapshot remembered, `age` ago. Ignored once the store has been listed. Tells the observer.
  void Seed(const std::vector<Record>& records, Nanos age);
  // A record learned otherwise: by Get, from a transaction's conflict, or written by this process. Ignored
  // unless it is newer; revision 0 (absent, nobody knows since when) is ignored too. Tells the observer.
  void Feed(const Record& record);
  // A deletion that this process made at this revision.
  void FeedDeleted(std::string_view key, uint64_t revision);

  // The store was put back to an older copy: the next listing is taken as it is, whatever its revisions.
  // Until then what is there stays.
  void Restart();

  // None if absent, or not known while state() is kLoading.
  std::optional<Record> Find(std::string_view key) const { return records_.Find(key); }
  // Ascending by key; `visit` must not change the mirror.
  void ForEach(absl::FunctionRef<void(const Record&)> visit) const;
  const RecordTable& records() const { return records_; }
  size_t size() const { return records_.size(); }

  State state() const { return state_; }
  // Since the copy was last known to be current: 0 if kFresh, kForever if kLoading.
  Nanos age() const;
  // True once the store has been listed completely.
  bool loaded() const { return loaded_; }
  // Everything up to here is in the copy.
  uint64_t applied_revision() const { return applied_; }
  const std::string& prefix() const { return prefix_; }
  // The last error of the store, "" if it answered last.
  const std::string& error() const { return error_; }
  uint64_t errors() const { return errors_; }  // so many so far

  // Runs `callback` once when loaded(), never inside the call.
  WaitId WhenLoaded(absl::AnyInvocable<void()> callback);
  // True: the callback will never run.
  bool CancelWait(WaitId id) { return waits_.erase(id) > 0; }

 private:
  struct Change {
    Record record;
    bool deleted;
  };

  void StartList();
  void RequestPage(std::string_view after, uint64_t at_revision);
  void OnPage(absl::StatusOr<ListPage> page);
  void FinishList(uint64_t revision);
  bool IsBehind(uint64_t revision);
  void SortShadow();
  std::vector<Change> Swap(uint64_t revision, bool restored);
  bool Outranks(const Record& record, const Record& had, bool seeded, bool restored);
  void StartWatch();
  void OnEvent(const WatchEvent& event);
  void Retry(std::string error);
  void ArmResync();
  Nanos Jittered(Nanos delay);

  bool Apply(const Record& record, bool deleted);
  bool IsOld(const Record& record) const;
  void Advance(uint64_t applied);
  // Both return false if a callback destroyed the mirror.
  bool Tell(const std::vector<Change>& changes);
  bool SetState(State state);
  void RunWaits();

  Cmdb& cmdb_;
  Reactor& reactor_;
  const std::string prefix_;
  Observer observer_;
  uint64_t random_;

  State state_ = State::kLoading;
  bool loaded_ = false;
  bool connected_ = false;
  Nanos current_at_ = 0;  // when the copy was last known to be current
  uint64_t applied_ = 0;
  RecordTable records_;
  // Deletions newer than `applied_`, or since a listing began: an older change may still be on its way.
  std::map<std::string, uint64_t, std::less<>> deletions_;
  uint64_t edits_ = 0;          // of records_, after which what is being told may be old
  std::vector<Record> shadow_;  // the listing in progress

  bool listing_ = false;
  uint64_t applied_before_list_ = 0;
  Cmdb::OpId list_ = 0;
  Cmdb::OpId watch_ = 0;
  Reactor::TimerId start_timer_ = 0;  // first listing or retry
  Reactor::TimerId resync_timer_ = 0;
  Nanos backoff_ = 0;
  int lists_behind_ = 0;
  bool restarted_ = false;  // the listing in progress, or the next one, is of another history
  std::string error_;
  uint64_t errors_ = 0;
  WaitId next_wait_ = 1;
  std::map<WaitId, absl::AnyInvocable<void()>> waits_;
  std::shared_ptr<Mirror*> self_;  // cleared by the destructor
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_MIRROR_H_

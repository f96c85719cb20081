// The router's view of the CMDB: hosts, classes and score tables replicated, keys, specs and placements by
// shard, on demand.
#ifndef FASTCONTAINER_LIB_ROUTER_DIRECTORY_H_
#define FASTCONTAINER_LIB_ROUTER_DIRECTORY_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fastcontainer/cmdb.h"
#include "fastcontainer/log.h"
#include "fastcontainer/records.h"
#include "fastcontainer/router.h"
#include "lib/cmdb/mirror.h"
#include "lib/cmdb/restore_mark.h"
#include "lib/router/snapshot.h"
#include "lib/router/snapshot_writer.h"

namespace fastcontainer {

class Directory {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    // `container` is "" if the key was deleted.
    virtual void OnKey(std::string_view key, std::string_view container) = 0;
    virtual void OnHost(std::string_view id, const Host* record) = 0;
    // Its spec, its class, or its placement has changed.
    virtual void OnContainer(std::string_view container) = 0;
    virtual void OnClass(std::string_view class_name) = 0;
    // `json` is null if the table was deleted. It may be rubbish.
    virtual void OnScores(std::string_view class_name, const std::string* json) = 0;
    // A shard has become readable, or reading one has failed: what waits may look again.
    virtual void OnProgress() = 0;
  };
  enum class Answer : uint8_t { kFound, kAbsent, kLoading, kUnavailable };

  struct Options {
    uint64_t seed = 1;
    std::string snapshot;  // a file; "": none
    Nanos snapshot_every = 300 * kSecond;
    SnapshotSeal seal;
    bool scores = true;  // whether score tables are read
  };

  Directory(Cmdb& cmdb, Reactor& reactor, Observer& observer, LogSink* log, Options options);
  // Writes the snapshot, if there is to be one.
  ~Directory();
  // Reads it, once, before anything else is asked. The observer hears of the hosts in it.
  void Restore();

  // `key` in its normal form.
  Answer FindKey(std::string_view key, std::string* container);
  // Loads what is needed to place and reach a container, and gives its records as they are; none: absent.
  struct ContainerRecords {
    std::optional<Record> spec, spec_class, placement;
  };
  Answer FindContainer(std::string_view container, ContainerRecords* out);
  bool HostsLoaded() const;
  // What a write must find, beside its own record, for the store to be the one that was read: a revision
  // means another thing after a restore.
  void AddHistory(std::vector<Compare>* compares) const;
  // Later snapshots are sealed by the first of them.
  void SetKeys(const std::vector<std::array<uint8_t, 32>>& keys) { options_.seal.keys = keys; }
  void LookAtHistory() { restore_mark_.Look(); }
  // A record learned otherwise than by watch; only a newer one is applied.
  void Feed(const Record& record);
  // Fills in what is told of the cache.
  void AddTo(RouterStats* stats) const;

 private:
  // A snapshot on its way to the file, a few records in each of the loop's rounds.
  struct Saving {
    std::vector<const Mirror*> mirrors;  // that are still to be written; the last is next
    std::vector<std::string> unopened;   // parts of the last snapshot that nobody has asked for since
    std::optional<SnapshotPart> part;    // of the last mirror, as far as `after`
    std::string after;
    SnapshotEncoder encoder;
    std::unique_ptr<SnapshotWriter> writer;
  };

  Mirror& Shard(RecordKind kind, uint8_t shard);
  std::unique_ptr<Mirror> Open(RecordKind kind, std::string prefix);
  void Restored();
  void ForEachMirror(absl::FunctionRef<void(const Mirror&)> visit) const;
  bool Accepts(RecordKind kind, const Record& record);
  // Of a record that is not there: it is absent, or this copy is too old to tell.
  Answer Absent(const Mirror& mirror) const;
  // directory_snapshot.cc
  void SeedFromSnapshot(Mirror& mirror);
  void ArmSnapshot();
  void BeginSnapshot();
  void SaveSome();
  bool SavePiece(size_t records);
  void EndSnapshot(const absl::Status& status);
  void SaveNow();
  void Log(LogLevel level, std::string_view message) const;
  void Changed(RecordKind kind, const Record& record, bool deleted);
  Answer StateOf(const Mirror& mirror) const;

  Cmdb& cmdb_;
  Reactor& reactor_;
  Observer& observer_;
  LogSink* const log_;
  uint64_t seed_;
  Options options_;
  const std::shared_ptr<StringTable> strings_ = std::make_shared<StringTable>();
  std::unique_ptr<Mirror> hosts_, classes_;
  std::unique_ptr<Mirror> scores_;  // null: they are not read. No part of snapshots: they age too soon
  std::array<std::unique_ptr<Mirror>, 256> keys_, specs_, placements_;
  RestoreMark restore_mark_;
  uint64_t refused_ = 0;
  bool quiet_ = false;  // the observer is not to be told

  std::optional<SnapshotReader>
      snapshot_;  // that was there at the start, and what it has that is still needed
  std::set<std::string, std::less<>> unopened_;
  std::unique_ptr<Saving> saving_;
  Reactor::TimerId snapshot_timer_ = 0;
  uint64_t saved_ = 0, not_saved_ = 0;
  std::shared_ptr<Directory*> self_;  // held weakly by what comes later
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_DIRECTORY_H_

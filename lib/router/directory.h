// The router's view of the CMDB: hosts and classes replicated, keys, specs and placements by shard, on
// demand.
#ifndef FASTCONTAINER_LIB_ROUTER_DIRECTORY_H_
#define FASTCONTAINER_LIB_ROUTER_DIRECTORY_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fastcontainer/cmdb.h"
#include "fastcontainer/log.h"
#include "fastcontainer/records.h"
#include "lib/cmdb/mirror.h"
#include "lib/cmdb/restore_mark.h"

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
    // A shard has become readable, or reading one has failed: what waits may look again.
    virtual void OnProgress() = 0;
  };
  enum class Answer : uint8_t { kFound, kAbsent, kLoading, kUnavailable };

  Directory(Cmdb& cmdb, Reactor& reactor, Observer& observer, LogSink* log, uint64_t seed);

  // `key` in its normal form.
  Answer FindKey(std::string_view key, std::string* container);
  // Loads what is needed to place and reach a container, and gives its records as they are; null: absent.
  struct ContainerRecords {
    const Record* spec = nullptr;
    const Record* spec_class = nullptr;
    const Record* placement = nullptr;
  };
  Answer FindContainer(std::string_view container, ContainerRecords* out);
  bool HostsLoaded() const;
  // What a write must find, beside its own record, for the store to be the one that was read: a revision
  // means another thing after a restore.
  void AddHistory(std::vector<Compare>* compares) const;
  void LookAtHistory() { restore_mark_.Look(); }
  // A record learned otherwise than by watch; only a newer one is applied.
  void Feed(const Record& record);
  // The age of the oldest mirror that is not fresh, and their number.
  Nanos OldestAge(uint32_t* stale) const;

 private:
  Mirror& Shard(RecordKind kind, uint8_t shard);
  std::unique_ptr<Mirror> Open(RecordKind kind, std::string prefix);
  void Restored();
  void Changed(RecordKind kind, const Record& record, bool deleted);
  Answer StateOf(const Mirror& mirror) const;

  Cmdb& cmdb_;
  Reactor& reactor_;
  Observer& observer_;
  LogSink* const log_;
  uint64_t seed_;
  std::unique_ptr<Mirror> hosts_, classes_;
  std::array<std::unique_ptr<Mirror>, 256> keys_, specs_, placements_;
  RestoreMark restore_mark_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_DIRECTORY_H_

// What nghttp2 calls.
#ifndef FASTCONTAINER_LIB_CMDB_ETCD_GRPC_CALLBACKS_H_
#define FASTCONTAINER_LIB_CMDB_ETCD_GRPC_CALLBACKS_H_

#include <nghttp2/nghttp2.h>

#include "absl/status/status.h"
#include "lib/cmdb/etcd/grpc_channel.h"

namespace fastcontainer::etcd {

struct GrpcCallbacks {
  static nghttp2_session_callbacks* All();  // for the life of the process
  static ssize_t ReadBody(nghttp2_session*, int32_t stream_id, uint8_t* buffer, size_t length,
                          uint32_t* flags, nghttp2_data_source*, void* user);

 private:
  static int OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_length,
                      const uint8_t* value, size_t value_length, uint8_t flags, void* user);
  static int OnData(nghttp2_session*, uint8_t flags, int32_t stream_id, const uint8_t* data, size_t length,
                    void* user);
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int OnStreamClose(nghttp2_session*, int32_t stream_id, uint32_t error, void* user);
};

}  // namespace fastcontainer::etcd

#endif  // FASTCONTAINER_LIB_CMDB_ETCD_GRPC_CALLBACKS_H_

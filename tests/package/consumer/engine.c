/* Also compiled as C++. */
#include <fastcontainer.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static void on_route(void* user_data, int32_t code, const fc_ticket* ticket, const fc_error* error) {
  (void)ticket;
  if (error != NULL) printf("%s: %s\n", fc_code_name(code), error->message);
  *(int32_t*)user_data = code;
}

int main(void) {
  fc_engine_options options;
  fc_engine* engine = NULL;
  fc_error error = FC_ERROR_INIT;
  fc_ticket ticket = FC_TICKET_INIT;
  fc_str key;
  int32_t code;
  fc_engine_options_init(&options);
  options.cmdb_url.data = "memory:";
  options.cmdb_url.length = strlen("memory:");
  if (fc_engine_create(&engine, &options, &error) != FC_OK) {
    printf("%s\n", error.message);
    return 1;
  }
  key.data = "nobody.example";
  key.length = strlen(key.data);
  code = fc_route(engine, key, NULL, &ticket, NULL, on_route, &code);
  while (code == FC_PENDING) {
    struct pollfd ready;
    ready.fd = fc_engine_fd(engine);
    ready.events = POLLIN;
    poll(&ready, 1, 1000);
    fc_engine_process(engine, 0);
  }
  fc_engine_destroy(engine);
  return code == FC_E_UNKNOWN_KEY ? 0 : 1;
}

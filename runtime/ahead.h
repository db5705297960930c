/* ahead.h: what a run needs that does not wait for its code: the data set, read, and memory for its
 * parameters, taken from the system page by page. A thread of its own does both while the network
 * is compiled. Nothing is different for it but the time: a fault of the data set is reported where
 * the data set would have been opened.
 *
 *   Ahead *a = ahead_begin(&request, bytes);     NULL: no thread; all below then does without
 *   ahead_data(a, &request, &data, &fault);      once, waits; as data_open()
 *   ahead_memory(a, bytes);                      once, waits; NULL: there is none of that size
 *   ahead_close(a); */
#ifndef LCW_AHEAD_H
#define LCW_AHEAD_H
#include "data.h"

typedef struct Ahead Ahead;

/* `bytes` of parameters on the host, 0 for another device. What the request points to must live
 * until ahead_data() or ahead_close(). */
Ahead *ahead_begin(const DataRequest *request, uint64_t bytes);
/* data_open(), or what it has given already for an equal request. */
bool ahead_data(Ahead *a, const DataRequest *request, Data *out, Fault *f);
/* A map of that many bytes, zero, which is the caller's to unmap. */
void *ahead_memory(Ahead *a, uint64_t bytes);
void ahead_close(Ahead *a);
uint64_t physical_bytes(void); /* memory of this machine */
#endif

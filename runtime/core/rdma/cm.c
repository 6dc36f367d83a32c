/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

enum {
    MAD_HEADER = 24,
    CLASS_CM = 0x07,
    METHOD_SEND = 0x03,
    ATTRIBUTE_REQ = 0x0010,
    ATTRIBUTE_REP = 0x0013,
    REQ_NEEDS = MAD_HEADER + 35, /* local communication id at 0, local queue pair at 32 */
    REP_NEEDS = MAD_HEADER + 15, /* ids at 0 and 4, local queue pair at 12 */
};

static void keep(struct cm *cm, const struct roce_packet *p, const uint8_t *body)
{
    uint32_t id = get32(body), qp = get32(body + 32) >> 8;
    struct cm_request *place = &cm->pending[cm->next % CM_PENDING];
    for (uint32_t i = 0; i < CM_PENDING; i++) { /* sent again */
        struct cm_request *request = &cm->pending[i];
        if (request->used && request->id == id && address_equal(request->source, p->source) &&
            address_equal(request->destination, p->destination)) {
            request->qp = qp;
            return;
        }
    }
    cm->next++;
    *place = (struct cm_request){.source = p->source, .destination = p->destination, .id = id, .qp = qp, .used = true};
}

bool cm_read(struct cm *cm, const struct roce_packet *p, struct cm_connection *connection)
{
    const uint8_t *mad = p->payload;
    uint64_t captured = (uint64_t)(p->end - mad);
    if (p->destination_qp != CM_QP || p->payload_length < MAD_HEADER || captured < REP_NEEDS || mad[0] != 1 ||
        mad[1] != CLASS_CM || mad[3] != METHOD_SEND)
        return false;
    uint16_t attribute = get16(mad + 16);
    const uint8_t *body = mad + MAD_HEADER;
    if (attribute == ATTRIBUTE_REQ && captured >= REQ_NEEDS) {
        keep(cm, p, body);
        return false;
    }
    if (attribute != ATTRIBUTE_REP)
        return false;
    for (uint32_t i = 0; i < CM_PENDING; i++) {
        struct cm_request *request = &cm->pending[i];
        if (!request->used || request->id != get32(body + 4) || !address_equal(request->source, p->destination) ||
            !address_equal(request->destination, p->source))
            continue;
        *connection = (struct cm_connection){request->source, p->source, request->qp, get32(body + 12) >> 8};
        request->used = false;
        return true;
    }
    return false;
}

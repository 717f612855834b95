"""Videos -> a gallery on disk: embeddings, items, labelled queries; and back, checked.

G/video_emb.npy   [n_gallery, dim] rows of the encoder      G/items.jsonl    one item a row
G/query_emb.npy   labelled queries, if there are any        G/queries.jsonl  {id, text, video_id}
G/media/          posters and playable copies               G/biases/        fitted later
G/manifest.json   written last: encoder, command, size and SHA-256 of every file

A gallery may show the items and labelled queries of another that lies beside it: then its items are
ids alone, its manifest names the other with the SHA-256 of what is shown, and the queries are
embedded when somebody needs them.
"""

from retrieval.gallery.encoder_id import EXTERNAL, EncoderId, read_encoder_id
from retrieval.gallery.items import MAKE, OWN, Gallery, Item, Queries, check_ids
from retrieval.gallery.media import FILM_LIBRARY, media_folder
from retrieval.gallery.reading import open_gallery, read_emb
from retrieval.gallery.writing import write_gallery, write_showing

__all__ = [
    "EXTERNAL",
    "FILM_LIBRARY",
    "MAKE",
    "OWN",
    "EncoderId",
    "Gallery",
    "Item",
    "Queries",
    "check_ids",
    "media_folder",
    "open_gallery",
    "read_emb",
    "read_encoder_id",
    "write_gallery",
    "write_showing",
]

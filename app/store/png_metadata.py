"""PNG metadata: an image's origin, and that a model made it, as text chunks."""

from app.digest import Json, canonical_json
from app.types import Provenance

_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about=""'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    "<Iptc4xmpExt:DigitalSourceType>"
    "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    "</Iptc4xmpExt:DigitalSourceType>"
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="w"?>'
)


def page_text() -> dict[str, str]:
    """Returns the text chunks of an atlas page: its images were made by a trained model."""
    return {"XML:com.adobe.xmp": _XMP}


def image_text(provenance: Provenance) -> dict[str, str]:
    """Returns the PNG text chunks: `atelier`, canonical JSON, and IPTC's DigitalSourceType.

    The latter is XMP. The prompt itself is left out, only its digest is included. Only what follows
    from the key is included, never the attempt or the machine, so that the same image has the same
    bytes wherever it is made. Sources: IPTC Photo Metadata Standard 2023.1; XMP part 3, PNG.
    """
    request = provenance.request
    origin: dict[str, Json] = {
        "request_id": provenance.request_id,
        "prompt_digest": provenance.prompt_digest,
        "seed": request.seed,
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": request.guidance_scale,
        "model": provenance.model,
        "weights_digest": provenance.weights_digest,
        "pipeline_version": provenance.pipeline_version,
    }
    return {"atelier": canonical_json(origin).decode()} | page_text()
